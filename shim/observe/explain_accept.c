/* SPDX-License-Identifier: MIT */
/*
 * explain_accept.c - see explain_accept.h. A program that has no descriptor left often tries
 * again at once, for hours: so what is slow is done once a second.
 */
#include "observe/explain_accept.h"

#include <errno.h>
#include <sys/resource.h>

#include "observe/fdtable.h"
#include "observe/proc.h"
#include "observe/subject.h"
#include "observe/turns.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"

/* How many TCP sockets, and the state of most. */
struct tally {
	uint32_t sockets;
	uint8_t mostly;
};

static int state_of(int number)
{
	const int handle = subject_fetch(number);
	const int state = tcp_state(handle);

	subject_let_go(handle);
	return state;
}

/*
 * Those that the table knows, each asked whether it is one still: a number may have been closed
 * behind our back. What there is no time for is not counted.
 */
static struct tally count_sockets(void)
{
	enum { MOST_NS = 5000000, OFTEN = 64 };
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_NS;
	uint32_t of_state[STATE_COUNT] = {0}, asked = 0;
	struct tally tally = {0};

	for (int number = fdtable_next(0); number >= 0; number = fdtable_next(number + 1)) {
		const int state = state_of(number);

		if (state >= 0) {
			tally.sockets++;
			of_state[state]++;
		}
		if (++asked % OFTEN == 0 && clock_ns(CLOCK_MONOTONIC) > deadline_ns)
			break;
	}
	for (uint8_t state = 0; state < STATE_COUNT; state++)
		if (of_state[state] > tally.sockets / 2)
			tally.mostly = state;
	return tally;
}

/* As the turn keeps it: the number above the state. */
static struct tally counted_lately(const struct event *ev)
{
	enum { STATE_BITS = 8 };
	uint32_t known;

	if (turn_take(&this_process.counted, TURN_MS, ev, &known)) {
		const struct tally now = count_sockets();

		known = now.sockets << STATE_BITS | now.mostly;
		turn_keep(&this_process.counted, known);
	}
	return (struct tally){
		.sockets = known >> STATE_BITS,
		.mostly = known & ((1u << STATE_BITS) - 1),
	};
}

/* fs.file-max. To read it takes a file: there may be none for us either. */
static void read_limit_of_system(void *arg)
{
	enum { ALLOCATED, FREE, MOST, FIGURES };
	uint32_t files[FIGURES], *ret = arg;

	if (proc_numbers("/proc/sys/fs/file-nr", files, FIGURES) && files[MOST] != UINT32_MAX)
		*ret = files[MOST];
}

static uint32_t limit_of_process(void)
{
	struct rlimit64 limit;

	const int rc = subject ? sys_getrlimit_of(subject->pid, RLIMIT_NOFILE, &limit)
			       : sys_getrlimit(RLIMIT_NOFILE, &limit);

	return rc < 0 ? 0 : (uint32_t)limit.rlim_cur;
}

static void tell_descriptors(struct event *ev, uint32_t queued)
{
	struct descriptors *ret = &ev->more.descriptors;

	*ret = (struct descriptors){.queued = queued};
	ev->notes |= NOTE_BIT(NOTE_NO_DESCRIPTORS);
	if (ev->error == ENFILE) {
		ret->limit = turn_read(&this_process.file_max, ev, read_limit_of_system);
		return;
	}
	const struct tally tally = counted_lately(ev);

	ret->limit = limit_of_process();
	ret->tcp_at_least = tally.sockets;
	ret->mostly = tally.mostly;
}

static bool lacks_descriptors(const struct event *ev)
{
	return ev->error == EMFILE || ev->error == ENFILE;
}

void explain_descriptors(struct event *ev)
{
	if (lacks_descriptors(ev))
		tell_descriptors(ev, 0);
}

void explain_accept(struct event *ev, const struct tcp_facts *facts, bool had_listened)
{
	if (lacks_descriptors(ev))
		tell_descriptors(ev, facts->queued);
	if (ev->error == EINVAL && facts->state != STATE_LISTEN) {
		ev->notes |= NOTE_BIT(NOTE_NOT_LISTENING);
		ev->figures.earlier = had_listened;
	}
}
