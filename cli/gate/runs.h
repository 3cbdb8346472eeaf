/* SPDX-License-Identifier: MIT */
/*
 * runs.h - which numbers have been seen, of a count that mostly goes up by one: runs of them, in
 * order and apart from each other. No I/O.
 */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_of {
	uint64_t from, to;
};

/* All is zero before the first. */
struct runs {
	struct run_of *all;
	size_t count, room;
};

bool runs_have(const struct runs *runs, uint64_t number);

/* One that is not there yet. False for want of memory. */
bool runs_add(struct runs *runs, uint64_t number);

/* How many from 1 on are missing before the last one; gaps that end above most are none (0: all).
 */
uint64_t runs_missing(const struct runs *runs, uint64_t most);

/* The last one; 0: none. */
uint64_t runs_last(const struct runs *runs);

void runs_end(struct runs *runs);

#endif
