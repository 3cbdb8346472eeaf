/* SPDX-License-Identifier: MIT */
/*
 * records.h - the flight recorder's file as a reader sees it: what is a whole record
 * in it, and the event that it holds. Bytes in, values out; no I/O.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "events/ring_format.h"
#include "reuse/event.h"
#include "reuse/ring.h"

/* By what a record is told from others and sorted. */
struct record_key {
	uint64_t time_ns, seq;
	int32_t pid;
	uint64_t times, since_ns; /* of a failure that is repeated; else 0 */
	uint64_t final_ns;	  /* CLOCK_REALTIME, when no more is added to that */
};

/* How many of these len bytes (aligned as a record) are a whole record; 0: they begin with none. */
size_t record_size(const struct ring_format *format, const void *bytes, size_t len);

/* Of a whole record. */
struct record_key record_key(const struct ring_format *format, const void *record);

/*
 * The event of a whole record; the places that it names are known to the renderers
 * until the next call. False where it is none that a program can have made, or of a call
 * that this build does not know.
 */
bool record_read(const struct ring_format *format, const void *record, struct event *ret);

#endif
