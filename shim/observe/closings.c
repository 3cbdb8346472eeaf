/* SPDX-License-Identifier: MIT */
/*
 * closings.c - see closings.h. The list lives in pages mapped for the call: it may
 * be long, and the caller's stack short.
 */
#include "observe/closings.h"

#include <limits.h>

#include "facts/shim.h"
#include "observe/event.h"
#include "observe/fdtable.h"
#include "observe/open_files.h"
#include "observe/subject.h"
#include "observe/tcp_state.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/room.h"

enum { FIRST_ROOM = 32 };

static void look(struct closings *closings, enum call_id call, struct sock_ref ref, int32_t pid)
{
	if (closings->count == closings->room &&
	    !room_grow(&closings->list, &closings->room, sizeof(*closings->list), FIRST_ROOM)) {
		if (tcp_state(ref.handle) >= 0)
			event_lost();
		return;
	}
	if (observe_closing(&closings->list[closings->count], call, ref, pid) == CLOSING_TCP)
		closings->count++;
}

static void consider(struct closings *closings, enum call_id call, int number, int32_t pid)
{
	struct sock_ref ref = {.number = number};

	if (!subject && own_is(number))
		return;
	ref.handle = subject_fetch(number);
	look(closings, call, ref, pid);
	subject_let_go(ref.handle);
}

static void find_seen(struct closings *closings, enum call_id call, int32_t pid, unsigned int first,
		      unsigned int last)
{
	if (first > INT_MAX)
		return;
	for (int fd = fdtable_next((int)first); fd >= 0 && (unsigned int)fd <= last;
	     fd = fdtable_next(fd + 1))
		consider(closings, call, fd, pid);
}

void closings_find(struct closings *ret, enum call_id call, unsigned int first, unsigned int last)
{
	const pid_t pid = shim_logs(call) ? process_owner() : 0;

	*ret = (struct closings){0};
	if (!pid)
		return;

	struct open_files open;

	if (!open_files_read(&open))
		find_seen(ret, call, pid, first, last);
	for (size_t i = 0; i < open.count; i++) {
		const unsigned int fd = (unsigned int)open.numbers[i];

		if (fd >= first && fd <= last)
			consider(ret, call, (int)fd, pid);
	}
	open_files_done(&open);
}

void closings_done(struct closings *closings)
{
	room_done(closings->list, closings->room, sizeof(*closings->list));
}

bool closings_next(struct closings *closings, struct event *ev)
{
	while (closings->told < closings->count) {
		struct closing *closing = &closings->list[closings->told++];

		if (ev->error) {
			observe_not_closed(closing);
			continue;
		}
		event_next_socket(ev, closing->fd);
		if (observe_closed(closing, ev))
			return true;
	}
	return false;
}
