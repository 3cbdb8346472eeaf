/* SPDX-License-Identifier: MIT */
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
#include "observe/explain.h"
#include "observe/observe.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

/* Who waits looks like who hangs. Not on the stack, where the bind's own event is to come. */
static void tell(int fd, const struct endpoint *at, const struct holders *holders,
		 uint32_t limit_ms)
{
	struct work work;

	if (!shim_logs(CALL_bind) || !work_begin(&work))
		return;
	/* Who can't write to a stopped terminal can be interrupted all the same. */
	if (sink_may_wait())
		work_let_signals_come(&work);
	if (observe_wait((struct event *)(void *)work.room, fd, fd, at, holders, limit_ms))
		event_emit((struct event *)(void *)work.room);
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
	struct asker asks;
	bool told = false;
	uint32_t nap;

	if (!at.port || sys_on_alternate_stack() || !process_owner())
		return false;
	explain_asker(fd, &at, false, &asks);
	while (ret->ms < limit && (nap = explain_nap_ms(&asks, limit - ret->ms, &holders)) > 0) {
		const struct timespec time = {
			.tv_sec = (time_t)(nap / 1000),
			.tv_nsec = (long)(nap % 1000) * 1000000,
		};

		if (!told && holders.dying)
			tell(fd, &at, &holders, limit);
		told |= holders.dying > 0;
		ret->began = asks.cookie;
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
