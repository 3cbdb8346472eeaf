/* SPDX-License-Identifier: MIT */
/*
 * ring_file.h - the flight recorder's file as numbers: made, recognised. No I/O.
 */
#ifndef FACTS_RING_FILE_H
#define FACTS_RING_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "reuse/ring.h"

/* The first RING_TIMES_AT bytes of a ring. */
struct ring_front {
	struct ring_head head;
	uint64_t description[RING_DESCRIPTION / sizeof(uint64_t)];
};
_Static_assert(sizeof(struct ring_front) == RING_TIMES_AT, "the description fills it");

/* All that stands before the chunks. */
struct ring_table {
	struct ring_front front;
	uint64_t times[RING_CHUNKS_MOST]; /* zero: never written to */
};
_Static_assert(sizeof(struct ring_table) == RING_DATA_AT, "it fills the room before the chunks");

/* The head of a file of that size (RING_SIZE_LEAST to RING_SIZE_MOST; cut to whole pages). */
struct ring_head ring_head_of(uint64_t size);

/* Is it the head of a ring that can be read, by its description? */
bool ring_head_is_one(const struct ring_head *head);

/* Was it made by a build that writes events as this one does? */
bool ring_head_is_ours(const struct ring_head *head);

static inline uint64_t ring_chunk_at(const struct ring_head *head, uint32_t chunk)
{
	return RING_DATA_AT + chunk * head->chunk_size;
}

static inline uint64_t ring_time_at(uint32_t chunk)
{
	return RING_TIMES_AT + chunk * sizeof(uint64_t);
}

/*
 * Is there a whole record at the beginning of these len bytes (aligned as a record, and no fewer
 * than its head), of an event of least bytes or more? How long it is; 0: none; more than len:
 * perhaps, but it does not end here.
 */
size_t ring_record_here(const void *bytes, size_t len, size_t least);

/* The sum of a whole record of size bytes, at words. */
uint64_t ring_record_sum(const uint64_t *words, uint16_t size);

#endif
