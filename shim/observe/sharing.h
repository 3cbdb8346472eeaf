/* SPDX-License-Identifier: MIT */
/*
 * sharing.h - several processes have one socket open: how did that come about? No
 * I/O, what was found is handed in.
 *
 * What /proc tells: whether a process was executed anew since it was forked, and
 * whether its descriptor would have outlived that (no O_CLOEXEC). Who made the socket,
 * and when, nobody tells. So of one that has it alone nothing follows.
 */
#ifndef OBSERVE_SHARING_H
#define OBSERVE_SHARING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reuse/event.h"

struct sharer {
	pid_t pid, parent;
	int fd;	      /* its lowest number for the socket */
	bool execed;  /* since it was forked */
	bool cloexec; /* the descriptor is closed by an exec; also where that is not known */
	char prog[16];
};

enum { SHARERS_KEPT = 16 };

struct sharing {
	uint32_t count;
	struct sharer named; /* the first; where that is not ourselves, rather its parent */
	struct {
		pid_t pid, parent;
		bool execed, cloexec;
	} kept[SHARERS_KEPT];
};

/* One that is there already counts once. self: the caller's own pid. */
void sharing_add(struct sharing *sharing, const struct sharer *sharer, pid_t self);

struct shared {
	bool by_fork; /* some have it by fork, and were not executed anew */
	bool by_exec; /* one at least has it from before it was executed */
	bool or_exec; /* the only one: it has it from there, or has made it itself */
};

struct shared sharing_judge(const struct sharing *sharing);

/* Into what is told of the socket: who has it, and how so many others came to it. */
void sharing_name(struct holders *holders, pid_t pid, const char prog[16]);
void sharing_tell(struct holders *holders, uint32_t others, struct shared how);

#endif
