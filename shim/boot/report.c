/*
 * report.c - TCPSHIM_REPORT: when the process exits, what it leaves open. Runs as
 * the library's destructor, so at exit() and at the return from main.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/observe.h"
#include "observe/proc.h"
#include "observe/tcp_state.h"
#include "observe/view.h"
#include "sys/own.h"
#include "sys/process.h"

/* An exit may take this much longer, and no more. */
enum { MOST_MS = 80 };

struct report {
	struct event totals;
	uint64_t deadline_ns;
	bool close_waits; /* these first: they are what somebody forgot */
	bool any;
};

static int visit(int fd, void *arg)
{
	struct report *report = arg;
	const int state = own_is(fd) ? -1 : tcp_state(fd);
	struct event ev;

	report->any |= state >= 0;
	if (state < 0 || (state == STATE_CLOSE_WAIT) != report->close_waits)
		return 0;
	if (clock_ns(CLOCK_MONOTONIC) > report->deadline_ns) {
		report->totals.more.totals.unlisted++;
		return 0;
	}
	event_begin(&ev, CALL_exit, fd);
	event_end(&ev, 0, 0);
	if (!observe_left_open(&ev))
		return 0;
	report->totals.more.totals.of_state[ev.sock.state]++;
	event_emit(&ev);
	return 0;
}

__attribute__((destructor)) static void report_at_exit(void)
{
	struct report report;

	if (!shim.set.report || !shim.events || !shim_acts() || !process_owner())
		return;
	report.any = atomic_load(&this_process.seq) > 0;
	event_begin(&report.totals, CALL_exit, -1);
	report.totals.has_fd = false;
	report.totals.has_totals = true;
	report.deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000);

	report.close_waits = true;
	proc_list(AT_FDCWD, "/proc/self/fd", visit, &report);
	report.close_waits = false;
	proc_list(AT_FDCWD, "/proc/self/fd", visit, &report);

	event_end(&report.totals, 0, 0);
	/* A process that has nothing to do with TCP says nothing. */
	if (report.any && observe_caller(&report.totals))
		event_emit(&report.totals);
}
