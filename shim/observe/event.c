/* SPDX-License-Identifier: MIT */
/*
 * event.c - see event.h.
 */
#include "observe/event.h"

#include <string.h>

#include "facts/shim.h"
#include "observe/fdtable.h"
#include "observe/subject.h"
#include "observe/tcp_state.h"
#include "observe/walk.h"
#include "sys/clock.h"
#include "sys/process.h"

void event_begin(struct event *ev, enum call_id call, int number)
{
	memset(ev, 0, sizeof(*ev));
	ev->call = (uint8_t)call;
	ev->fd = number;
	ev->has_fd = true;
	ev->began_ns = clock_ns(CLOCK_MONOTONIC);
}

void event_end(struct event *ev, int64_t ret, int err)
{
	ev->dur_ns = clock_ns(CLOCK_MONOTONIC) - ev->began_ns;
	ev->time_ns = clock_ns(CLOCK_REALTIME);
	ev->ret = ret;
	ev->has_ret = true;
	ev->error = err;
}

void event_next_socket(struct event *ev, int number)
{
	ev->fd = number;
	ev->notes = 0;
	memset(&ev->sock, 0, sizeof(ev->sock));
	memset(&ev->figures, 0, sizeof(ev->figures));
}

void event_lost(void)
{
	if (shim.silent || !shim_acts() || !process_owner())
		return;
	atomic_fetch_add_explicit(&this_process.seq, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&this_process.lost, 1, memory_order_relaxed);
}

void event_unanswered(int number, int rc)
{
	const struct fd_note note = fdtable_get(number);

	if (tcp_is_unanswered(rc) && note.cookie && !note.closed_ns)
		event_lost();
}

bool event_caller(struct event *ev)
{
	if (!shim_acts())
		return false;
	if (!process_is_still(ev->pid))
		ev->pid = process_owner();
	if (!ev->pid)
		return false;
	ev->tid = process_tid();
	memcpy(ev->prog, subject_prog(), sizeof(ev->prog));
	/* At exit it is not the caller that matters, but who made the socket. */
	if (shim.set.stack && !ev->stack && ev->call != CALL_exit)
		ev->stack = walk_callers(shim.set.stack);
	return true;
}
