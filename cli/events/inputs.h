/* SPDX-License-Identifier: MIT */
/*
 * inputs.h - the events of any number of files in order of time, each with its host. A file is
 * opened when its time comes; of the others only the first event is known.
 */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events/source.h"
#include "events/window.h"
#include "table.h"

struct input {
	const char *path;
	uint32_t host;
	uint64_t first_ns;
	struct source *source;	  /* while it is read; else NULL */
	struct window window;	  /* of a log: what was read of it */
	bool ended;		  /* and there is no more */
	struct input_event *head; /* the next one; NULL: none */
	uint64_t next_ns;	  /* its time */
};

/* All else is zero before inputs_begin. */
struct inputs {
	const char *who;
	struct input *all;
	size_t count;
	struct input **waiting, **open; /* the first in order of time; and those that are read */
	size_t waits, opened, began;
	struct input *current; /* its head has been given */
	bool failed;	       /* a file could not be read, which has been told */
	uint64_t late;	       /* lines that came after the window */
	struct table places;
	off_t done; /* bytes of files that have been read */
};

/* The paths and hosts are the caller's. False for want of memory. End it in any case. */
bool inputs_begin(struct inputs *inputs, size_t count);

/* The next one; it is there until the next call. NULL: there are no more. */
const struct input_event *inputs_next(struct inputs *inputs);

/* What a place is called. */
const char *inputs_place(const struct inputs *inputs, uint32_t place);

/* So many bytes have been read. */
off_t inputs_read(const struct inputs *inputs);

void inputs_end(struct inputs *inputs);

#endif
