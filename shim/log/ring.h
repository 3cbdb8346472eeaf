/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the flight recorder: events into a file of fixed size, which keeps the
 * newest of all processes of the program (include/reuse/ring.h).
 *
 * The file is not mapped. Somebody may truncate it, or its disk be full, and a
 * store to a mapping would then kill the program with SIGBUS; a pwrite fails.
 */
#ifndef LOG_RING_H
#define LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reuse/event.h"

/*
 * Record into the file fd (open for reading and writing), which is taken over. An
 * empty one is made a ring of size bytes with all its blocks; another keeps the
 * size that it has. Return 0, or -errno: -EBADMSG no ring; -EPROTO one of another
 * build, which is left as it is; -EFBIG over the limit of the file size; -ENOSPC no room.
 *
 * path: where it was opened, or NULL. Where another process has removed it from there meanwhile:
 * -ESTALE. made: it was made by this process, and no file is left where it becomes no ring, unless
 * it became another process's.
 */
int ring_open(int fd, uint64_t size, const char *path, bool made);

/* Record one event. False where that can't be done. */
bool ring_append(const struct event *ev);

/* Where a record is, as long as its chunk is this process's; all zero: nowhere. */
struct ring_spot {
	uint64_t chunk;
	int64_t at;
	uint16_t size;
};

/*
 * Record an event that has been recorded at that spot before: in its place, or else in a new
 * one, which is noted. A reader believes the one that tells most calls. In the room, whose size
 * is as record_of (record.h) wants it, the record is made; frames that do not fit are left out.
 */
bool ring_rewrite(const struct event *ev, struct ring_spot *spot, uint64_t *room, size_t size);

#endif
