/* SPDX-License-Identifier: MIT */
/*
 * window.h - the events of one log in order of time: threads write their lines in another one. How
 * far they may be apart is the window: a second, or so many lines.
 */
#ifndef CLI_WINDOW_H
#define CLI_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reuse/event.h"

/* An event; and what its file alone can tell of it, in words. */
struct input_event {
	struct event ev;
	uint32_t host;
	uint32_t place;	       /* the nearest caller's, as inputs_place has it; 0: not known */
	uint32_t closed_place; /* of a double close: where it was closed before */
	char said[512];	       /* the note on why the call failed; empty: none. No more than that
				  is there */
};

enum { WINDOW_MOST = 4096 };
#define WINDOW_NS UINT64_C(1000000000)

/* All is zero before the first. */
struct window {
	struct input_event **events; /* a ring of WINDOW_MOST, the first in time first */
	size_t first, count;
	uint64_t given_ns; /* of the last that was taken */
};

/* A copy of it, behind those of the same time. False for want of memory. */
bool window_put(struct window *window, const struct input_event *event);

/* Does it reach as far as it may? Then the first is next, whatever follows. */
bool window_is_full(const struct window *window, size_t most);

/*
 * The first in time; the caller frees it. NULL: there is none. Is it too late, that is, before one
 * that was taken?
 */
struct input_event *window_take(struct window *window, bool *ret_late);

void window_end(struct window *window);

#endif
