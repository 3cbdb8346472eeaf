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
#include <stdint.h>

#include "reuse/event.h"

/*
 * Record into the file fd (open for reading and writing), which is taken over. An
 * empty one is made a ring of size bytes with all its blocks; another keeps the
 * size that it has. Return 0, or -errno: -EBADMSG no ring; -EPROTO one of another
 * build, which is left as it is; -EFBIG over the limit of the file size; -ENOSPC no room.
 */
int ring_open(int fd, uint64_t size);

/* Record one event. False where that can't be done. */
bool ring_append(const struct event *ev);

#endif
