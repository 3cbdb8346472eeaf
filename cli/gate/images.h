/* SPDX-License-Identifier: MIT */
/*
 * images.h - the programs that made the events: what ran in a process between two execs, and which
 * of its events are missing. No I/O.
 *
 * Each counts its events from 1. Threads' events may come out of order, what is read while it is
 * written late, and a failure that is repeated a second late: when the process may run its next
 * program already.
 */
#ifndef CLI_IMAGES_H
#define CLI_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/runs.h"
#include "reuse/event.h"

struct image {
	int32_t pid;
	uint32_t before; /* the one that ran in a process of that number before: its place plus 1 */
	char prog[16];
	uint64_t first_ns; /* the earliest event */
	uint64_t began_ns; /* a call of it: CLOCK_MONOTONIC */
	struct runs seen;  /* events, by their numbers */
	uint64_t settled;  /* what is missing below it will not come any more; 0: all */
	uint64_t told;	   /* lost by its own account, which the missing ones hold too */
	bool ended;	   /* it told what it left open: it came to an end by itself */
};

/* All else is zero before the first event. */
struct images {
	struct image *all;
	size_t count, room;
	uint32_t *newest; /* by pid: the place plus 1, in a power of two slots */
	size_t slots;
	uint64_t left_out; /* events, for want of memory */
};

void images_event(struct images *images, const struct event *ev);

/* The one that runs, or ran last, in that process? */
bool images_is_newest(const struct images *images, const struct image *image);

/* Programs that go on are looked at once more: what comes now may be ahead of others. */
void images_settle(struct images *images);

/* So many of its events have not been seen, up to the last that was. */
uint64_t image_missing(const struct image *image);

void images_end(struct images *images);

#endif
