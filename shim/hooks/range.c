/* SPDX-License-Identifier: MIT */
/*
 * range.c - the hooks of close_range and closefrom: an event for each TCP socket
 * that they close, and a way around the shim's own descriptors.
 */
#include <limits.h>

#include "hooks/hook.h"
#include "log/log.h"
#include "observe/closings.h"
#include "observe/event.h"
#include "sys/own.h"
#include "sys/sys.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* The least of our descriptors in the range, UINT_MAX where there is none. */
static unsigned int first_own(unsigned int first, unsigned int last)
{
	unsigned int least = UINT_MAX;

	for (unsigned int slot = 0; slot < OWN_COUNT; slot++) {
		const unsigned int fd = (unsigned int)own_number(slot); /* -1: never in range */

		if (fd >= first && fd <= last && fd < least && fd <= INT_MAX && own_is((int)fd))
			least = fd;
	}
	return least;
}

/* The program's range in pieces that leave ours open. */
static int close_around(__typeof__(close_range) *way, unsigned int first, unsigned int last,
			int flags)
{
	unsigned int own = first_own(first, last);
	int rc = 0;

	/* Where there is no piece before ours, an empty range has the flags judged. */
	if (own == first)
		rc = way(UINT_MAX, UINT_MAX, flags);
	while (rc == 0 && own != UINT_MAX) {
		if (own > first)
			rc = way(first, own - 1, flags);
		if (own == last)
			return rc;
		first = own + 1;
		own = first_own(first, last);
	}
	return rc < 0 ? rc : way(first, last, flags);
}

static void report(struct closings *closings, struct event *ev)
{
	while (closings_next(closings, ev))
		event_emit(ev);
	closings_done(closings);
}

int close_range_by(__typeof__(close_range) *way, unsigned int first, unsigned int last, int flags)
{
	struct closings closings;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_close_range) || first > last || (flags & (int)CLOSE_RANGE_CLOEXEC))
		return way(first, last, flags); /* ours are close-on-exec already */
	closings_find(&closings, CALL_close_range, first, last);
	event_begin(&ev, CALL_close_range, -1);

	rc = close_around(way, first, last, flags);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	report(&closings, &ev);

	return hook_result(rc, err);
}

/*
 * closefrom has no answer, and works where the kernel has no close_range (before
 * 5.9): there the numbers are closed one by one.
 */
static void closefrom_around(int first)
{
	enum { HIGHEST_WITHOUT_RANGE = 65536 };
	const unsigned int own = first_own((unsigned int)first, UINT_MAX);

	if (own == UINT_MAX) {
		libc.closefrom(first);
		return;
	}
	if (close_around(libc.close_range, (unsigned int)first, UINT_MAX, 0) < 0)
		for (int fd = first; fd < HIGHEST_WITHOUT_RANGE; fd++)
			if (!own_is(fd))
				sys_close(fd);
}

HOOK int close_range(unsigned int first, unsigned int last, int flags)
{
	return close_range_by(libc.close_range, first, last, flags);
}

HOOK void closefrom(int first)
{
	struct closings closings;
	struct event ev;
	const int from = first < 0 ? 0 : first, errno_before = errno;

	if (hook_idle(CALL_closefrom)) {
		libc.closefrom(first);
		return;
	}
	closings_find(&closings, CALL_closefrom, (unsigned int)from, UINT_MAX);
	event_begin(&ev, CALL_closefrom, -1);

	closefrom_around(from);

	event_end(&ev, 0, 0);
	report(&closings, &ev);
	errno = errno_before;
}
