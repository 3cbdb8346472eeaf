/*
 * wait.c - see wait.h. The shim waits nowhere else, and here because it was asked to.
 */
#include "hooks/wait.h"

#include <errno.h>
#include <time.h>

#include "facts/shim.h"
#include "hooks/address.h"
#include "observe/conflict.h"
#include "observe/explain.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"

/*
 * How long until another try makes sense, at most left_ms; 0 where waiting would
 * not help. Dying connections tell how long they stay, but may go earlier.
 */
static uint32_t nap_ms(int fd, const struct endpoint *at, uint32_t left_ms)
{
	enum { LONGEST_NAP = 1000, NAP_WITHOUT_END = 100, AFTER = 5 };
	struct holders holders;
	uint32_t nap;

	if (!explain_holders(fd, at, false, false, &holders) || holders.more)
		return 0;
	/* None left is no reason to stop: the last one may just have gone. */
	if (conflict_note(&holders) != NOTE_IN_USE_DYING && conflict_note(&holders) != NOTE_COUNT)
		return 0;
	nap = holders.longest_ms && !holders.without_end ? holders.longest_ms + AFTER
							 : NAP_WITHOUT_END;
	if (nap > LONGEST_NAP)
		nap = LONGEST_NAP;
	return nap < left_ms ? nap : left_ms;
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
	uint32_t nap;

	if (!at.port || sys_on_alternate_stack() || !process_owner())
		return false;
	while (ret->ms < limit && (nap = nap_ms(fd, &at, limit - ret->ms)) > 0) {
		const struct timespec time = {
			.tv_sec = nap / 1000,
			.tv_nsec = (long)(nap % 1000) * 1000000,
		};

		ret->at_all = true;
		ret->interrupted = sys_nap(&time) == -EINTR;
		ret->ms = ms_since(start);
		if (ret->interrupted)
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
