/* SPDX-License-Identifier: MIT */
/*
 * timeline.h - a process's time as a picture in SVG: when it made calls, and the states of some of
 * its sockets. Nothing of the input but numbers and addresses gets into it.
 *
 * A state is drawn full as long as the events prove it, pale as long as it may have lasted; what
 * was passed on the way has no length. What the kernel keeps of a connection after the last event
 * is dashed, by its timer.
 */
#ifndef CLI_TIMELINE_H
#define CLI_TIMELINE_H

#include <stdio.h>

#include "report/story.h"

enum { TIMELINE_LANES = 24 };

/* Sockets of that process among the ladders, up to TIMELINE_LANES. */
size_t timeline_lanes(const struct process_row *row, const struct ladder *const *ladders,
		      size_t count, const struct strand *ret[TIMELINE_LANES]);

void timeline_write(FILE *out, const struct process_row *row, const struct strand *const *lanes,
		    size_t count);

#endif
