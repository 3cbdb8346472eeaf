/* SPDX-License-Identifier: MIT */
/*
 * ring_make.h - the flight recorder's file is made, recognised, and made whole again.
 */
#ifndef LOG_RING_MAKE_H
#define LOG_RING_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/ring.h"

/* What the file is that this process records into. */
extern struct ring_head this_ring;

/* Make or recognise it: see ring_open (log/ring.h). Return 0, or -errno. */
int ring_make(int fd, uint64_t size);

/*
 * A file that this process has made at that path, and of which it could make no ring, goes: unless
 * another process has made one of it since.
 */
void ring_unmake(const char *path);

/* False: whoever had made the file has removed it, after it was opened there. */
bool ring_is_at(int fd, const char *path);

/* May the process write to all of it? A limit of the file size may say no, at any time. */
bool ring_limit_allows(void);

/*
 * Somebody has truncated the file: make it whole again. False where that can't be done, or it is
 * another build's by now.
 */
bool ring_mend(int fd);

#endif
