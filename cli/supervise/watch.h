/* SPDX-License-Identifier: MIT */
/*
 * watch.h - what the observers are asked at a followed call: before it, as a hook of the library
 * does before the real call, and behind it. The thread is stopped meanwhile.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervise/call.h"
#include "supervise/family.h"

struct filter_wish;

/*
 * The settings in the environment: at which calls the program is to be stopped. False where there
 * is nothing to do.
 */
bool watch_settings(struct filter_wish *ret);

/* A program was executed; nothing is observed in it where it is not one of those. */
void watch_start(struct member *process);

/* A process was forked from a watched one; or its parent is not known (NULL). */
void watch_fork(struct member *process, const struct member *parent);

/* A thread has ended; then, where it was the last one, its process. */
void watch_thread_ends(struct task *task);
void watch_end(struct member *process);

/* Before the call. False where nothing is to be known of its end. */
bool watch_enters(struct task *task, struct call *call);

/* Behind it; what it has returned, or -errno. */
enum watch_wish {
	WATCH_DONE,
	WATCH_ANSWER, /* the program gets call->answer */
	WATCH_AGAIN,  /* the call is to be made again, at once */
	WATCH_LATER,  /* or at call->due_ns, or when a signal has come */
};
enum watch_wish watch_leaves(struct task *task, struct call *call, int64_t result);

/* Before it is made again: or is it to end as it has? */
bool watch_may_repeat(struct task *task, struct call *call);

/* It is over, or nobody will tell of its end. */
void watch_forget(struct call *call);

#endif
