/*
 * fdtable.h - a short note on each descriptor that is, or was, a TCP socket: what
 * the kernel can't tell, or will not tell any more later.
 *
 * A note is about a socket (cookie), not about a number: whoever reads one
 * compares the cookie with the kernel's before believing it. No locks: a note is
 * written whole or not at all, and a reader that meets a writer finds nothing.
 * Memory comes in pieces when a number is first used, and is never given back:
 * at most the highest descriptor number times sizeof(struct fd_note) and 8.
 */
#ifndef OBSERVE_FDTABLE_H
#define OBSERVE_FDTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"

enum {
	NOTED_REUSEADDR_OFF = 1, /* the program itself set SO_REUSEADDR to 0 */
	NOTED_REUSEPORT_OFF = 2, /* likewise SO_REUSEPORT */
	NOTED_BOUND = 4,	 /* gentle: bound to a port that the settings cover */
};

struct fd_note {
	uint64_t cookie; /* 0: no note */
	struct endpoint local, peer;
	uint8_t state; /* that the last event through this number ended with */
	uint8_t flags; /* NOTED_… */
};

/* A copy of the note, cookie 0 where there is none. Any number may be asked for. */
struct fd_note fdtable_get(int fd);

void fdtable_set(int fd, const struct fd_note *note);

/* Take the note out. BEFORE the real close: after it the number may be another's. */
void fdtable_forget(int fd);

/*
 * The next number from fd on that has a note, -1 where there is none any more.
 * For the range closes that can't list /proc/self/fd.
 */
int fdtable_next(int fd);

#endif
