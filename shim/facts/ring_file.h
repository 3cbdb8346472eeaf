/*
 * ring_file.h - the flight recorder's file as numbers: made, recognised. No I/O.
 */
#ifndef FACTS_RING_FILE_H
#define FACTS_RING_FILE_H

#include <stdbool.h>

#include "reuse/ring.h"

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

/* The sum of a whole record of size bytes, at words. */
uint64_t ring_record_sum(const uint64_t *words, uint16_t size);

#endif
