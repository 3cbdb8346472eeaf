/* SPDX-License-Identifier: MIT */
/*
 * family.h - the threads that are followed, and the processes that they belong to. It knows them
 * by number alone, asks /proc whose a new one is, and stops or starts nothing.
 */
#ifndef CLI_FAMILY_H
#define CLI_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "log/repeats.h"

struct call;

/* A process: what runs in it since the last exec. */
struct member {
	pid_t pid;
	struct task *tasks;
	bool borrows; /* runs in its parent's memory, as a vfork child does, until it is executed */
	void *watched; /* watch.h; NULL: nothing is observed */
};

struct task {
	pid_t tid;
	struct member *of;
	struct task *next;	       /* of the same process */
	struct call *call;	       /* that it is in; the innermost: engine.c */
	bool steps;		       /* was let go a step, to see whether a handler runs */
	int handle;		       /* a pidfd, -1: none yet */
	struct repeats_thread repeats; /* its last failures: log/repeats.h */
	int64_t due_ns;		       /* held until then (CLOCK_MONOTONIC); 0: not */
	struct task *later;	       /* of those that are held */
};

/* What /proc/TID/status says of it; empty where it can't be read. */
enum { FAMILY_STATUS = 4096 };
void family_status(pid_t tid, char ret[FAMILY_STATUS]);

/* NULL: not known. */
struct task *family_find(pid_t tid);

/*
 * The thread is followed from now on. parent: the process that has made it or its process, NULL
 * where that is not known. ret->process: it is the first of a process, which has come by a fork of
 * ret->parent (NULL: of one that is not followed). NULL where memory is out, or where it is gone.
 */
struct birth {
	struct member *process, *parent;
};
struct task *family_claim(pid_t tid, struct member *parent, struct birth *ret);

/* It is gone. Return its process where it was the last thread of it; the caller frees that. */
struct member *family_lose(struct task *task);

/* All but this one of its process are gone: it has executed another program. */
void family_only(struct task *task);

/* Is there one thread alone? */
bool family_is_one(void);

/* Do both run in the same memory? False where the kernel does not say. */
bool family_share_memory(pid_t one, pid_t other);

#endif
