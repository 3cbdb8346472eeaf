/* SPDX-License-Identifier: MIT */
/*
 * repeats.h - the last failures of a thread, so that a storm of one is not told call by
 * call: an equal one within a second of one that had an event of its own is counted, and
 * the count told by one event. Here is what is kept; who tells it is log.c.
 *
 * Each thread that has failed has a set of its own. A forked child begins without any.
 */
#ifndef LOG_REPEATS_H
#define LOG_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/ring.h"
#include "reuse/event.h"

enum { REPEATS_KEPT = 4 };

/* One kind of failure. No call: the place is free. */
struct failure {
	struct event ev;  /* the last call, without notes; repeated: those that are to be told */
	uint64_t told_ns; /* CLOCK_MONOTONIC, when one was told by an event of its own */
	uint64_t notes;	  /* that were told with it since then */
	struct ring_spot spots[2]; /* where the flight recorder has it */
	uint64_t recorded;	   /* with how many calls */
	bool kept;
};

struct repeats {
	struct failure failures[REPEATS_KEPT];
	uint64_t room[128]; /* to tell of one: the stack may have none */
};

/* Does the thread keep what an event that is no failure may end? */
extern __thread bool repeats_watch;
struct repeats *repeats_hold_set(const struct event *ev);

/*
 * The set of the caller's thread, held: one is made for a first failure. NULL where nothing
 * is kept and the event is to be told as it is: it is no failure, or there is no room, or the
 * thread is just at its set (a signal handler).
 */
static inline struct repeats *repeats_hold(const struct event *ev)
{
	return ev->error || repeats_watch ? repeats_hold_set(ev) : NULL;
}

void repeats_release(struct repeats *repeats, const struct event *ev);

/* The failure that the event repeats; NULL: none. */
struct failure *repeats_find(struct repeats *repeats, const struct event *ev);

/* Has what was counted been counted for a second? */
bool failure_is_overdue(const struct failure *failure, const struct event *ev);

/* Does the event repeat the failure, and say nothing new? Then it is counted, else told. */
bool failure_may_count(const struct failure *failure, const struct event *ev);
void failure_count(struct failure *failure, const struct event *ev);

/*
 * Where the event is told: is what was counted to be told before, for it is of the same socket?
 * A number without a socket is another one's from then on: then the failure is forgotten.
 */
bool failure_ends_before(const struct failure *failure, const struct event *ev);

/* That is done: forget it, or begin to count anew. */
void failure_ended(struct failure *failure);

/* What was counted has been told, or part of it: so many are left. */
void failure_told(struct failure *failure, uint64_t left);

/* Where the event, which is told now, is to be kept: what is there is to be told first. */
struct failure *repeats_place(struct repeats *repeats, const struct event *ev);
void failure_keep(struct failure *failure, const struct event *ev);

/* The set of the thread, which ends: held, and to be forgotten then. NULL: it has none. */
struct repeats *repeats_of_ending_thread(int32_t tid, uint64_t now_ns);
void repeats_forget(void);

/*
 * A supervisor is one thread and tells the failures of many: before each event, whose it is. What
 * belongs to the one that it leaves goes into *leaves. All zero: nothing has failed so far.
 */
struct seat;
struct repeats_thread {
	struct seat *seat;
	bool watch;
};
void repeats_turn_to(const struct repeats_thread *next, struct repeats_thread *leaves);

/* The sets of all threads, each held meanwhile. */
void repeats_each(void (*visit)(struct repeats *repeats), uint64_t now_ns);

/* The process comes to its end: from now on nothing is kept. */
void repeats_end(int32_t pid);

#endif
