/* SPDX-License-Identifier: MIT */
/*
 * waiting.c - see waiting.h.
 */
#include "supervise/waiting.h"

#include "facts/shim.h"
#include "log/log.h"
#include "observe/explain.h"
#include "observe/observe.h"
#include "supervise/fetch.h"
#include "sys/clock.h"

/* Who waits looks like who hangs. */
static void tell(struct sock_ref ref, const struct endpoint *at, const struct holders *holders,
		 uint32_t limit_ms)
{
	struct event ev;

	if (shim_logs(CALL_bind) &&
	    observe_wait(&ev, ref.number, ref.handle, at, holders, limit_ms))
		event_emit(&ev);
}

bool waiting_goes_on(struct call *call)
{
	struct waited *waited = &call->seen->bind.waited;
	const struct endpoint at = fetch_address(call->is.args[1], call->is.args[2]);
	const struct sock_ref ref = fetch_ref(call->seen->ev.fd);
	const uint32_t limit = shim.set.wait_seconds * 1000u;
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct holders holders;
	struct asker asks;
	uint32_t nap, since;

	if (!waited->at_all)
		waited->start_ns = now;
	since = (uint32_t)((now - waited->start_ns) / 1000000);
	waited->interrupted = call->signalled;
	if (!at.port || call->signalled || since >= limit)
		return false;
	explain_asker(ref.handle, &at, false, &asks);
	if (waited->at_all && asks.cookie != waited->began)
		return false;
	nap = explain_nap_ms(&asks, limit - since, &holders);
	if (!nap)
		return false;
	if (!waited->told && holders.dying)
		tell(ref, &at, &holders, limit);
	waited->told |= holders.dying > 0;
	waited->at_all = true;
	waited->began = asks.cookie;
	call->due_ns = (int64_t)now + nap * INT64_C(1000000);
	return true;
}

bool waiting_is_same(const struct call *call)
{
	const struct waited *waited = &call->seen->bind.waited;

	return !waited->at_all || sock_cookie(fetch_number(call->seen->ev.fd)) == waited->began;
}

void waiting_note(struct event *ev, const struct waited *waited)
{
	if (!waited->at_all)
		return;
	ev->notes |= NOTE_BIT(NOTE_WAITED);
	ev->figures.waited_ms =
		(uint32_t)((ev->began_ns + ev->dur_ns - waited->start_ns) / 1000000);
	ev->figures.wait_interrupted = waited->interrupted;
}
