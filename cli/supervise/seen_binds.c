/* SPDX-License-Identifier: MIT */
/*
 * seen_binds.c - the halves of the calls that SO_REUSEADDR is enabled for: bind, and with
 * TCPSHIM_REUSE=gentle listen and connect. See seen.h. A bind is tried again by having the program
 * make the call again, which to the program is one call.
 */
#include <errno.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "log/log.h"
#include "log/sink.h"
#include "observe/bound.h"
#include "observe/conflict.h"
#include "observe/event.h"
#include "observe/explain.h"
#include "observe/observe.h"
#include "supervise/fetch.h"
#include "supervise/seen.h"
#include "supervise/waiting.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"

static bool set_option(struct sock_ref ref, int option, int value, struct policy *policy)
{
	struct event ev;
	int rc;

	observe_own_option_begin(&ev, ref.number, option, value, policy);
	rc = sys_setsockopt(ref.handle, SOL_SOCKET, option, &value, sizeof(value));
	if (shim_logs(CALL_setsockopt) && observe_own_option(&ev, ref.handle, rc, policy))
		event_emit(&ev);
	return rc == 0;
}

/* What to enable for the bind, and that enabled. */
static void prepare(struct call *call)
{
	const struct endpoint asked = fetch_address(call->is.args[1], call->is.args[2]);
	struct policy *policy = &call->seen->policy;
	const struct sock_ref ref = fetch_ref(seen_int(call, 0));

	policy_bind(ref, asked.family, asked.port, policy);
	if (policy->crowded && policy->enable && asked.family && bound_refuses(ref, &asked))
		policy->enable = 0;
	policy_enable(ref, policy, set_option);
}

bool seen_enter_bind(struct call *call)
{
	struct seen *seen = call->seen;

	seen->policy.pid = shim.events ? process_owner() : 0;
	event_begin(&seen->ev, CALL_bind, seen_int(call, 0));
	if (shim.set.reuse != REUSE_GENTLE && policy_acts())
		prepare(call);
	return shim_logs(CALL_bind) || shim.set.reuse == REUSE_GENTLE || shim.set.wait_seconds;
}

/* gentle, after a first EADDRINUSE: is it to be tried again, with the option? */
static bool tries_again(struct call *call)
{
	struct seen *seen = call->seen;

	if (seen->bind.second || seen->policy.tried || !policy_acts())
		return false;
	prepare(call);
	seen->bind.second = seen->policy.enable != 0;
	return seen->bind.second;
}

static int report(struct call *call, int err)
{
	struct seen *seen = call->seen;
	struct event *ev = &seen->ev;
	const struct waited *waited = &seen->bind.waited;
	struct endpoint asked = {0};

	if (err)
		asked = fetch_address(call->is.args[1], call->is.args[2]);
	policy_note(ev, &seen->policy);
	waiting_note(ev, waited);
	if (!waited->began)
		ev->sock.cookie = seen->policy.cookie;
	if (observe_bind(ev, fetch_number(ev->fd), &asked, waited->began))
		event_emit(ev);
	return err;
}

/* The answer that the program gets where the last try was not its own. */
static enum watch_wish give(struct call *call, int err, int last)
{
	if (err == last)
		return WATCH_DONE;
	call->answer = -err;
	return WATCH_ANSWER;
}

enum watch_wish seen_leave_bind(struct call *call)
{
	struct seen *seen = call->seen;
	const int last = seen->ev.error;
	int err = last;

	if (err == EADDRINUSE && shim.set.reuse == REUSE_GENTLE && tries_again(call))
		return WATCH_AGAIN;
	if (err && seen->bind.second) {
		policy_take_back(fetch_ref(seen->ev.fd), &seen->policy, set_option);
		seen->bind.second = false;
		err = EADDRINUSE;
		event_end(&seen->ev, -1, err);
	}
	if (err == EADDRINUSE && shim.set.wait_seconds && waiting_goes_on(call))
		return WATCH_LATER;
	if (!err && shim.set.reuse == REUSE_GENTLE) {
		const struct endpoint at = fetch_address(call->is.args[1], call->is.args[2]);

		policy_bound(fetch_number(seen->ev.fd), at.family, at.port);
	}
	if (shim_logs(CALL_bind))
		report(call, err);
	return give(call, err, last);
}

static void prepare_late(struct call *call, int fd)
{
	struct policy *policy = &call->seen->policy;

	if (shim.set.reuse != REUSE_GENTLE)
		return;
	policy->pid = shim.events ? process_owner() : 0;
	policy_late(fetch_number(fd), policy);
	policy_enable(fetch_ref(fd), policy, set_option);
}

bool seen_enter_listen(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int fd = seen_int(call, 0);

	prepare_late(call, fd);
	event_begin(ev, CALL_listen, fd);
	ev->has_args = true;
	ev->args.backlog = seen_int(call, 1);
	return shim_logs(CALL_listen);
}

enum watch_wish seen_leave_listen(struct call *call)
{
	struct event *ev = &call->seen->ev;

	policy_note(ev, &call->seen->policy);
	if (observe_listen(ev, fetch_number(ev->fd)))
		event_emit(ev);
	return WATCH_DONE;
}

bool seen_enter_connect(struct call *call)
{
	struct seen *seen = call->seen;
	const int fd = seen_int(call, 0);

	prepare_late(call, fd);
	if (!shim_logs(CALL_connect))
		return false;
	attempt_before(fetch_ref(fd), &seen->before);
	seen->began = observe_began(CALL_connect, fetch_ref(fd));
	event_begin(&seen->ev, CALL_connect, fd);
	return true;
}

enum watch_wish seen_leave_connect(struct call *call)
{
	struct seen *seen = call->seen;
	struct event *ev = &seen->ev;
	const struct endpoint asked = fetch_address(call->is.args[1], call->is.args[2]);

	policy_note(ev, &seen->policy);
	if (observe_connect(ev, fetch_number(ev->fd), &asked, &seen->before, seen->began))
		event_emit(ev);
	return WATCH_DONE;
}
