/* SPDX-License-Identifier: MIT */
/*
 * seen_ends.c - the halves of the calls that may end a socket; see seen.h.
 */
#include <errno.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "supervise/fetch.h"
#include "supervise/seen.h"

/* What is not open may have been, and be closed a second time. */
bool seen_enter_close(struct call *call)
{
	struct seen *seen = call->seen;
	const int fd = seen_int(call, 0);

	seen->closing.kind = observe_closing(&seen->closing.what, CALL_close, fetch_ref(fd), 0);
	event_begin(&seen->ev, CALL_close, fd);
	return seen->closing.kind == CLOSING_NOT_OPEN || seen->closing.kind == CLOSING_TCP;
}

enum watch_wish seen_leave_close(struct call *call)
{
	struct seen *seen = call->seen;
	struct event *ev = &seen->ev;

	if (seen->closing.kind == CLOSING_TCP ? observe_closed(&seen->closing.what, ev)
					      : ev->error == EBADF && observe_double_close(ev))
		event_emit(ev);
	return WATCH_DONE;
}

bool seen_enter_dup_onto(struct call *call)
{
	struct seen *seen = call->seen;
	const int fd = seen_int(call, 0), newfd = seen_int(call, 1);
	bool closes;

	seen->closing.kind =
		fd == newfd ? CLOSING_OTHER
			    : observe_closing(&seen->closing.what, call->id, fetch_ref(newfd), 0);
	closes = seen->closing.kind == CLOSING_TCP;
	/* What it closes may linger. */
	seen->began = closes ? observe_began(call->id, fetch_ref(fd)) : 0;
	event_begin(&seen->ev, call->id, fd);
	seen->ev.pid = closes ? seen->closing.what.pid : 0;
	seen->ev.has_args = true;
	seen->ev.args.newfd = newfd;
	return true;
}

enum watch_wish seen_leave_dup_onto(struct call *call)
{
	struct seen *seen = call->seen;
	struct event *ev = &seen->ev;
	const bool closes = seen->closing.kind == CLOSING_TCP;
	bool tells;

	if (ev->error && closes)
		observe_not_closed(&seen->closing.what);
	tells = observe_dup(ev, fetch_number(ev->fd), seen->began);
	if (closes && !ev->error) {
		observe_closed_target(&seen->closing.what, ev);
		tells = tells || event_caller(ev);
	}
	if (tells)
		event_emit(ev);
	return WATCH_DONE;
}

bool seen_enter_close_range(struct call *call)
{
	struct seen *seen = call->seen;
	const unsigned int first = (unsigned int)call->is.args[0];
	const unsigned int last = (unsigned int)call->is.args[1];

	if (first > last)
		return false;
	closings_find(&seen->closings, CALL_close_range, first, last);
	event_begin(&seen->ev, CALL_close_range, -1);
	return true;
}

enum watch_wish seen_leave_close_range(struct call *call)
{
	struct closings *closings = &call->seen->closings;
	struct event *ev = &call->seen->ev;

	while (closings_next(closings, ev))
		event_emit(ev);
	return WATCH_DONE;
}
