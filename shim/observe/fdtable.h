/* SPDX-License-Identifier: MIT */
/*
 * fdtable.h - a short note on each descriptor that is, or was, a TCP socket: what
 * the kernel can't tell, or will not tell any more later.
 *
 * A note is about a socket (cookie), not about a number: whoever reads one
 * compares the cookie with the kernel's before believing it. No locks: a reader
 * that meets a writer finds nothing, as does one where two writers met.
 * Memory comes in pieces when a number is first used, and is never given back:
 * at most the highest descriptor number times sizeof(struct fd_note) and 8.
 */
#ifndef OBSERVE_FDTABLE_H
#define OBSERVE_FDTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"

struct fd_note {
	uint64_t cookie;  /* 0: no note */
	uint64_t made_ns; /* CLOCK_MONOTONIC when the socket was first seen here */
	/* Of a number that was closed: when, by which thread, by which call. 0: it is open. */
	uint64_t closed_ns;
	union {
		int32_t closed_by;
		/* Of an open one: when a connect began whose end is not told yet; 0: none. */
		uint32_t connect_ms;
	};
	uint32_t made_at;   /* the stack that made it (facts/callsite.h); 0: not known */
	uint32_t closed_at; /* likewise */
	int32_t next_copy;  /* another number of this socket, and 1; all make a ring. 0: none */
	/* process_generation() when the addresses were asked of the socket; 0: they were not. */
	uint32_t asked;
	uint8_t closed_call;
	uint8_t opened;	       /* OPENED_… */
	uint8_t state;	       /* that the last event through this number ended with */
	bool closed_other : 1; /* what was closed last was no TCP socket any more */
	bool listened : 1;     /* it was a listener, if it is none any more */
	bool renewed : 1;      /* of a copy: it knows more than the table's */
	/* What does not change in a socket's life; 0: not known. See view.h. */
	unsigned int protocol : 2;
	unsigned int netns : 3;
	struct endpoint local, peer;
};

struct fdtable;

/*
 * Another process's, which all others here are not about: a copy for a child, into an empty one;
 * false where there is no memory for all of it. And its end.
 */
bool fdtable_fork(struct fdtable *ret, const struct fdtable *parents);
void fdtable_free(struct fdtable *table);

/* A copy of the note, cookie 0 where there is none. Any number may be asked for. */
struct fd_note fdtable_get(int number);

/* The note on the open socket with this cookie, into *ret; empty where it is about another. */
void fdtable_about(int number, uint64_t cookie, struct fd_note *ret);

void fdtable_set(int number, const struct fd_note *note);

/*
 * Of the open socket with this cookie: a connect has begun then, or (0) its end is told, whichever
 * of the socket's numbers it has begun through.
 */
void fdtable_connect(int number, uint64_t cookie, uint32_t connect_ms);

/*
 * Has a connect begun through this number, whose end is not told? The cookie of the socket that it
 * was then, or 0.
 */
uint64_t fdtable_connects(int number);

/* The same socket has another number as well. */
void fdtable_copy(int number, int copy);

/*
 * A number other than this one, whose note is given, that is an open one of the same socket, as far
 * as the notes know: -1 where there is none.
 */
int fdtable_other(int number, const struct fd_note *note);

/*
 * The number is about to be closed: the note stays, as one about a closed number.
 * BEFORE the real close: after it the number may be another's.
 */
void fdtable_close(int number, enum call_id call, int32_t tid, uint32_t stack, uint64_t now_ns);

/* The same of a number that has been something else since: of one that has a note, if a closed one.
 */
void fdtable_close_other(int number, enum call_id call, int32_t tid, uint32_t stack,
			 uint64_t now_ns);

/* It was not closed after all. */
void fdtable_reopen(int number);

/*
 * The next number from this one on that has the note of an open socket, -1 where there is none any
 * more. For the range closes that can't list /proc/self/fd.
 */
int fdtable_next(int number);

#endif
