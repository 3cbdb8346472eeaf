/*
 * wait.c - see wait.h. The shim waits nowhere else, and here because it was asked to.
 */
#include "hooks/wait.h"

#include <errno.h>
#include <time.h>

#include "facts/shim.h"
#include "hooks/address.h"
#include "log/log.h"
#include "log/sink.h"
#include "observe/conflict.h"
#include "observe/event.h"
#include "observe/explain.h"
#include "observe/observe.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

/*
 * How long until another try makes sense, at most left_ms; 0 where waiting would
 * not help. Dying connections (*ret) tell how long they stay, but may go earlier.
 */
static uint32_t nap_ms(int fd, const struct endpoint *at, uint32_t left_ms, struct holders *ret)
{
	enum { LONGEST_NAP = 1000, NAP_WITHOUT_END = 100, AFTER = 5 };
	uint32_t nap;

	if (!explain_holders(fd, at, false, false, ret) || ret->more)
		return 0;
	/* None left is no reason to stop: the last one may just have gone. */
	if (conflict_note(ret) != NOTE_IN_USE_DYING && conflict_note(ret) != NOTE_COUNT)
		return 0;
	nap = ret->longest_ms && !ret->without_end ? ret->longest_ms + AFTER : NAP_WITHOUT_END;
	if (nap > LONGEST_NAP)
		nap = LONGEST_NAP;
	return nap < left_ms ? nap : left_ms;
}

/*
 * Who waits looks like who hangs. Not on the stack, where the bind's own event is to come. What
 * stays longer than we wait, or nobody knows how long, is told with our limit.
 */
static void tell(int fd, const struct endpoint *at, const struct holders *holders,
		 uint32_t limit_ms)
{
	struct work work;

	if (!shim_logs(CALL_bind) || !work_begin(&work))
		return;
	struct event *ev = (struct event *)(void *)work.room;

	event_begin(ev, CALL_wait, fd);
	event_end(ev, 0, 0);
	ev->has_ret = false;
	ev->by_shim = true;
	ev->notes = NOTE_BIT(NOTE_WAITING);
	ev->more.holders = *holders;
	if (holders->without_end || !holders->longest_ms || holders->longest_ms > limit_ms)
		ev->more.holders.longest_ms = limit_ms;
	/* Who can't write to a stopped terminal can be interrupted all the same. */
	if (sink_may_wait())
		work_let_signals_come(&work);
	if (observe_wait(ev, at))
		event_emit(ev);
	work_end(&work);
}

static uint32_t ms_since(uint64_t start_ns)
{
	return (uint32_t)((clock_ns(CLOCK_MONOTONIC) - start_ns) / 1000000);
}

bool wait_for_dying(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len,
		    struct waited *ret)
{
	const struct endpoint at = address_read(addr, len);
	const uint32_t limit = shim.set.wait_seconds * 1000u;
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);
	struct holders holders;
	bool told = false;
	uint32_t nap;

	if (!at.port || sys_on_alternate_stack() || !process_owner())
		return false;
	while (ret->ms < limit && (nap = nap_ms(fd, &at, limit - ret->ms, &holders)) > 0) {
		const struct timespec time = {
			.tv_sec = nap / 1000,
			.tv_nsec = (long)(nap % 1000) * 1000000,
		};

		if (!told && holders.dying)
			tell(fd, &at, &holders, limit);
		told |= holders.dying > 0;
		if (!ret->at_all)
			ret->began = sock_cookie(fd);
		ret->at_all = true;
		ret->interrupted = sys_nap(&time) == -EINTR;
		ret->ms = ms_since(start);
		if (ret->interrupted || sock_cookie(fd) != ret->began)
			return false;
		if (way(fd, addr, len) == 0)
			return true;
		if (errno != EADDRINUSE)
			return false;
	}
	return false;
}

void wait_note(struct event *ev, const struct waited *waited)
{
	if (!waited->at_all)
		return;
	ev->notes |= NOTE_BIT(NOTE_WAITED);
	ev->figures.waited_ms = waited->ms;
	ev->figures.wait_interrupted = waited->interrupted;
}
