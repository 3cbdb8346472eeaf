/*
 * report.c - when the process exits, what was counted and not yet told; for TCPSHIM_REPORT,
 * what it leaves open; and how many events were lost, where none follows that tells of it.
 * Runs as the library's destructor, so at exit() and at the return from main.
 */
#include <fcntl.h>
#include <string.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "observe/proc.h"
#include "observe/tcp_state.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

/* An exit may take this much longer, and no more. */
enum { MOST_MS = 60 };

/* Connections in CLOSE_WAIT come first: they are what somebody forgot. */
enum { MOST_LATER = 65536 };

struct report {
	struct event totals;
	uint64_t deadline_ns;
	int *later; /* the descriptors of all others, NULL where there is no room */
	unsigned int count;
	bool any;
};

static void tell(struct report *report, int fd)
{
	struct event ev;

	if (clock_ns(CLOCK_MONOTONIC) > report->deadline_ns) {
		report->totals.more.totals.unlisted++;
		return;
	}
	event_begin(&ev, CALL_exit, fd);
	event_end(&ev, 0, 0);
	if (!observe_left_open(&ev))
		return;
	report->totals.more.totals.of_state[ev.sock.state]++;
	event_emit(&ev);
}

static int visit(int fd, void *arg)
{
	struct report *report = arg;
	const int state = own_is(fd) ? -1 : tcp_state(fd);

	if (state < 0)
		return 0;
	report->any = true;
	if (state != STATE_CLOSE_WAIT && report->later && report->count < MOST_LATER)
		report->later[report->count++] = fd;
	else
		tell(report, fd);
	return 0;
}

static void tell_all(struct report *report)
{
	const size_t size = MOST_LATER * sizeof(*report->later);
	int *later = sys_mmap_pages(size);

	report->later = sys_failed(later) ? NULL : later;
	report->count = 0;
	proc_list(AT_FDCWD, "/proc/self/fd", visit, report);
	for (unsigned int i = 0; i < report->count; i++)
		tell(report, report->later[i]);
	if (report->later)
		sys_munmap(report->later, size);
}

/* The event of the process's own end, not of a socket that it has. */
static void begin_last(struct event *ev)
{
	event_begin(ev, CALL_exit, -1);
	ev->has_fd = false;
}

static void report_left_open(void)
{
	struct report report;

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

static void tell_losses(void)
{
	struct event ev;

	begin_last(&ev);
	event_end(&ev, 0, 0);
	if (event_caller(&ev))
		event_emit_losses(&ev);
}

__attribute__((destructor)) static void report_at_exit(void)
{
	if (!shim.events || !shim_acts() || !process_owner())
		return;
	log_end();
	if (shim.set.report)
		report_left_open();
	if (atomic_load(&this_process.lost))
		tell_losses();
}
