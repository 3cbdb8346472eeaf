/* SPDX-License-Identifier: MIT */
/*
 * ring_reader.h - the flight recorder's file, read again and again while others write to it:
 * each look finds the records that the looks before it have not found.
 */
#ifndef CLI_RING_READER_H
#define CLI_RING_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events/ring_format.h"
#include "facts/ring_file.h"
#include "reuse/ring.h"

/* A record that was found, and by what it is sorted. */
struct ring_entry {
	uint64_t time_ns, seq;
	size_t at; /* among the reader's records */
	int32_t pid;
	bool gone;			    /* a later look has found it overwritten */
	bool replaced;			    /* another entry tells the same, and more */
	uint64_t times, since_ns, final_ns; /* as in struct record_key */
};

struct ring_reader {
	int fd;
	struct ring_head head;
	struct ring_format format;
	struct ring_chunk *chunks; /* NULL: there is no ring yet */
	int64_t hole_at, hole_end; /* where this look has found none of the file's blocks written */
	char *records;		   /* copies of those that were found, one behind the other */
	size_t used, size;
	struct ring_entry *entries; /* in the order in which they were found */
	size_t count, room;
	struct ring_seen *listed; /* of the chunk that is being read */
	size_t list_count, list_room;
};

/* A clock that nobody sets: nanoseconds. And the one that events are stamped with. */
int64_t reader_now(void);
int64_t reader_time(void);

/* Can a ring that begins so be read? */
bool reader_knows(struct ring_front *front);

/* Begin with a ring of which nothing has been read. False: errno tells why. */
bool reader_begin(struct ring_reader *reader, const struct ring_front *front);

/* Find what has been written since the last look. False: errno tells why. */
bool reader_look(struct ring_reader *reader);

/*
 * When to look again although nobody has written since: in so many nanoseconds, or -1: never.
 * A chunk may have been written to up to then.
 */
int64_t reader_due(const struct ring_reader *reader, int64_t written);

static inline const void *reader_record(const struct ring_reader *reader,
					const struct ring_entry *entry)
{
	return reader->records + entry->at;
}

/* The first count entries are done with. */
void reader_drop(struct ring_reader *reader, size_t count);

void reader_end(struct ring_reader *reader);

#endif
