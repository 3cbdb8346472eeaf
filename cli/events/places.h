/* SPDX-License-Identifier: MIT */
/*
 * places.h - places in the code of programs that are gone, by what they were called: the
 * renderers look places up in tables, which here hold those of the events that are read.
 */
#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts/frames.h"

/* The names are not ended, and shorter than a frame has room for. */
struct place_name {
	const char *module, *symbol; /* symbol_len 0: not known */
	size_t module_len, symbol_len;
	uint64_t offset, symbol_offset;
};

/* Make the tables, once; anew: forget all that was entered. False for want of memory. */
bool places_ready(bool anew);

/* The place's number, as a stack has it. False where the table is full: begin anew. */
bool places_enter(const struct place_name *name, uint64_t *ret);

#endif
