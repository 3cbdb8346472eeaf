/* SPDX-License-Identifier: MIT */
/*
 * left_open.c - see left_open.h.
 */
#include "boot/left_open.h"

#include "facts/shim.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/fdtable.h"
#include "observe/observe.h"
#include "observe/open_files.h"
#include "observe/subject.h"
#include "observe/tcp_state.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"

/* An exit may take this much longer, and no more; but a few take no time worth to be saved. */
enum { MOST_MS = 60, FEW = 100 };

struct report {
	struct event totals;
	uint64_t deadline_ns;
	uint32_t seen;
	bool any;
};

static void tell(struct report *report, int fd)
{
	struct event ev;
	int handle;

	if (++report->seen > FEW && clock_ns(CLOCK_MONOTONIC) > report->deadline_ns) {
		report->totals.more.totals.unlisted++;
		return;
	}
	event_begin(&ev, CALL_exit, fd);
	event_end(&ev, 0, 0);
	handle = subject_fetch(fd);
	if (observe_left_open(&ev, handle)) {
		report->totals.more.totals.of_state[ev.sock.state]++;
		event_emit(&ev);
	}
	subject_let_go(handle);
}

/* Of what is not a TCP socket of the program's: below 0. */
static int state_of(int fd)
{
	int handle, state;

	if (fd < 0 || (!subject && own_is(fd)))
		return -1;
	handle = subject_fetch(fd);
	state = tcp_state(handle);
	subject_let_go(handle);
	return state;
}

/* Of the listed ones those that are in CLOSE_WAIT, or all that are still in the list. */
static void tell_listed(struct report *report, struct open_files *open, bool only_close_wait)
{
	for (size_t i = 0; i < open->count; i++) {
		const int fd = open->numbers[i];
		const int state = state_of(fd);

		if (state >= 0)
			report->any = true;
		if (state < 0 || (only_close_wait && state != STATE_CLOSE_WAIT))
			continue;
		open->numbers[i] = -1;
		tell(report, fd);
	}
}

/* Connections in CLOSE_WAIT come first: they are what somebody forgot. */
static void tell_all(struct report *report)
{
	struct open_files open;

	if (open_files_read(&open)) {
		tell_listed(report, &open, true);
		tell_listed(report, &open, false);
	} else {
		for (int fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
			tell(report, fd);
	}
	open_files_done(&open);
}

/* The event of the process's own end, not of a socket that it has. */
static void begin_last(struct event *ev)
{
	event_begin(ev, CALL_exit, -1);
	ev->has_fd = false;
}

void left_open_tell(void)
{
	struct report report;

	report.seen = 0;
	report.any = atomic_load(&this_process.seq) > 0;
	begin_last(&report.totals);
	report.totals.has_totals = true;
	report.deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000);
	tell_all(&report);

	event_end(&report.totals, 0, 0);
	/* A process that has nothing to do with TCP says nothing. */
	if (report.any && event_caller(&report.totals))
		event_emit(&report.totals);
}

void left_open_tell_losses(void)
{
	struct event ev;

	if (!atomic_load(&this_process.lost))
		return;
	begin_last(&ev);
	event_end(&ev, 0, 0);
	if (event_caller(&ev))
		event_emit_losses(&ev);
}
