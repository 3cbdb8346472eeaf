/* SPDX-License-Identifier: MIT */
/*
 * seen_calls.c - the halves of the calls that neither prepare a bind nor end a socket; see seen.h.
 */
#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/attempt.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "supervise/fetch.h"
#include "supervise/seen.h"

bool seen_enter_socket(struct call *call)
{
	struct event *ev = &call->seen->ev;

	event_begin(ev, CALL_socket, -1);
	ev->has_args = true;
	ev->args.socket.domain = seen_int(call, 0);
	ev->args.socket.type = seen_int(call, 1);
	ev->args.socket.protocol = seen_int(call, 2);
	return true;
}

enum watch_wish seen_leave_socket(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int made = ev->error ? -1 : fetch_made((int)ev->ret);

	if (observe_socket(ev, made, true))
		event_emit(ev);
	return WATCH_DONE;
}

bool seen_enter_accept(struct call *call)
{
	const int fd = seen_int(call, 0);

	call->seen->began = observe_began(call->id, fetch_ref(fd));
	event_begin(&call->seen->ev, call->id, fd);
	return true;
}

/* A connection that was reset already has forgotten its peer: accept itself knew who it was. */
static bool observe_connection(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int made = fetch_made((int)ev->ret);

	if (!observe_accept(ev, fetch_number(ev->fd), made, call->seen->began, true))
		return false;
	if (!ev->sock.peer.family) {
		const struct endpoint peer =
			fetch_written_address(call->is.args[1], call->is.args[2]);

		observe_accepted_from(ev, made, &peer);
	}
	return true;
}

enum watch_wish seen_leave_accept(struct call *call)
{
	struct event *ev = &call->seen->ev;

	if (ev->error ? observe_failed_accept(ev, fetch_number(ev->fd), call->seen->began)
		      : observe_connection(call))
		event_emit(ev);
	return WATCH_DONE;
}

static void take_option(struct event *ev, const struct call *call, bool readable, uint32_t len)
{
	struct option_value *copy = &ev->more.value;
	const size_t take = len < sizeof(copy->bytes) ? len : sizeof(copy->bytes);

	ev->has_args = true;
	ev->args.sockopt.level = seen_int(call, 1);
	ev->args.sockopt.option = seen_int(call, 2);
	copy->len = len;
	copy->readable = readable && (int)len >= 0 && call->is.args[3] &&
			 fetch_memory(copy->bytes, call->is.args[3], take) == 0;
}

static bool is_reuse(const struct call *call)
{
	return seen_int(call, 1) == SOL_SOCKET &&
	       (seen_int(call, 2) == SO_REUSEADDR || seen_int(call, 2) == SO_REUSEPORT);
}

bool seen_enter_setsockopt(struct call *call)
{
	if (!shim_logs(CALL_setsockopt) && !is_reuse(call))
		return false;
	event_begin(&call->seen->ev, CALL_setsockopt, seen_int(call, 0));
	return true;
}

enum watch_wish seen_leave_setsockopt(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int handle = fetch_number(ev->fd);
	int value = 0;
	bool on;

	if (!ev->error && is_reuse(call))
		fetch_memory(&value, call->is.args[3], sizeof(value));
	on = value != 0;
	if (!ev->error && is_reuse(call))
		policy_option_set(handle, seen_int(call, 2), on);
	if (observe_setsockopt(ev, handle, on && seen_int(call, 2) == SO_REUSEADDR)) {
		take_option(ev, call, true, (uint32_t)call->is.args[4]);
		event_emit(ev);
	}
	return WATCH_DONE;
}

bool seen_enter_getsockopt(struct call *call)
{
	event_begin(&call->seen->ev, CALL_getsockopt, seen_int(call, 0));
	return true;
}

enum watch_wish seen_leave_getsockopt(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int handle = fetch_number(ev->fd);
	uint32_t len = 0;

	if (observe_call(ev, handle)) {
		const bool has_value =
			!ev->error && fetch_memory(&len, call->is.args[4], sizeof(len)) == 0;

		take_option(ev, call, has_value, has_value ? len : 0);
		attempt_of_error(ev, handle);
		event_emit(ev);
	}
	return WATCH_DONE;
}

bool seen_enter_shutdown(struct call *call)
{
	struct event *ev = &call->seen->ev;
	const int fd = seen_int(call, 0);

	observe_before(CALL_shutdown, fetch_number(fd), &call->seen->facts);
	event_begin(ev, CALL_shutdown, fd);
	ev->has_args = true;
	ev->args.how = seen_int(call, 1);
	return true;
}

enum watch_wish seen_leave_shutdown(struct call *call)
{
	struct event *ev = &call->seen->ev;

	if (observe_shutdown(ev, fetch_number(ev->fd), &call->seen->facts))
		event_emit(ev);
	return WATCH_DONE;
}

bool seen_enter_dup(struct call *call)
{
	event_begin(&call->seen->ev, CALL_dup, seen_int(call, 0));
	return true;
}

bool seen_enter_fcntl(struct call *call)
{
	struct event *ev = &call->seen->ev;

	event_begin(ev, CALL_fcntl, seen_int(call, 0));
	ev->has_args = true;
	ev->args.fcntl.command = seen_int(call, 1);
	ev->args.fcntl.newfd = seen_int(call, 2);
	return true;
}

enum watch_wish seen_leave_dup(struct call *call)
{
	struct event *ev = &call->seen->ev;

	if (observe_dup(ev, fetch_number(ev->fd), 0))
		event_emit(ev);
	return WATCH_DONE;
}
