/* SPDX-License-Identifier: MIT */
/*
 * record.h - an event as the flight recorder keeps it: bytes that its own build can
 * read again (include/reuse/ring.h), with the places in the code that it names.
 */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include <stddef.h>

#include "reuse/event.h"
#include "reuse/ring.h"

/* Longest record of an event without places in the code. */
enum {
	RECORD_SHORT = (sizeof(struct ring_record) + sizeof(struct event) + RECORD_ALIGN - 1) /
		       RECORD_ALIGN * RECORD_ALIGN
};

/* Does it name places in the code, so that its record may be longer? */
bool record_is_long(const struct event *ev);

/*
 * The record of ev, in room, whose size is RECORD_SHORT or more and a multiple of
 * RECORD_ALIGN; places that do not fit are left out. Return its size.
 */
uint16_t record_of(const struct event *ev, uint64_t *room, size_t size);

#endif
