/* SPDX-License-Identifier: MIT */
/*
 * subject.h - whose calls are observed. In the library it is the process itself, always. A
 * supervisor looks at others, one at a time, and says which before it asks the observers.
 *
 * On it depends what stands behind a number: the descriptor and the notes on it; what lies in the
 * program's memory; who the caller is, and what /proc says of him. What does not: the log, the
 * netlink sockets, the place in the flight recorder. They are ours.
 */
#ifndef OBSERVE_SUBJECT_H
#define OBSERVE_SUBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "facts/shim.h"
#include "sys/process.h"
#include "sys/sys.h"

/* Of a note on each number, in pieces: fdtable.h. */
enum { FDTABLE_PIECE = 512, FDTABLE_PIECES = 2048 }; /* 1,048,576: the kernel's fs.nr_open */
struct fdtable_piece;
struct fdtable {
	_Atomic(struct fdtable_piece *) pieces[FDTABLE_PIECES];
};

/* A port has one of BOUND_WAYS entries in its place. Filled from the front, and never emptied. */
enum { BOUND_PLACES = 128, BOUND_WAYS = 4, LOOKS = 64 };

/* What a forked child goes on from. */
struct subject_notes {
	struct fdtable fds;
	_Atomic(uint64_t) bound[BOUND_PLACES][BOUND_WAYS]; /* port and number; 0: none yet */
	/* When a number's queue was last looked at; those that share a place share the turn. */
	_Atomic(uint64_t) looked[LOOKS];
	_Atomic(uint64_t) searched; /* and when for who keeps a socket open: keeper.c */
};

/* Another process than ours, when it stands still. */
struct subject {
	struct process process; /* that it has begun with owner, born and tid, and counts on */
	struct subject_notes notes;
	pid_t pid, parent;
	uid_t uid; /* effective */
	char prog[16];
	int listen_fds; /* as in struct shim */
	int first_free; /* below it all numbers were open when it was executed; 0: not known */
	bool elsewhere; /* in another network namespace than we: less can be explained */
	/* A descriptor of ours for what has that number there, or -errno. */
	int (*fetch)(const struct subject *subject, int number);
	/* Its memory, as sys_peek reads ours. */
	int (*peek)(const struct subject *subject, void *ret, const void *from, size_t len);
};

extern struct subject *subject; /* NULL: the process itself */
extern struct subject_notes *subject_notes;

/* From now on that one; NULL: the process itself again. Not with several threads. */
void subject_set(struct subject *next);

/* What has that number: to be asked, and then to be let go. */
static inline int subject_fetch(int number)
{
	return subject ? subject->fetch(subject, number) : number;
}

static inline void subject_let_go(int handle)
{
	if (subject && handle >= 0)
		sys_close(handle);
}

/* As sys_peek: through a pointer of the program's. */
static inline int subject_peek(void *ret, const void *from, size_t len)
{
	return subject ? subject->peek(subject, ret, from, len) : sys_peek(ret, from, len);
}

/* Or -errno. */
static inline pid_t subject_pid(void)
{
	return subject ? subject->pid : sys_getpid();
}

static inline pid_t subject_parent(void)
{
	return subject ? subject->parent : sys_getppid();
}

static inline const char *subject_prog(void)
{
	return subject ? subject->prog : shim.prog;
}

/* Can what we learn of our namespace say nothing of its sockets? */
static inline bool subject_is_elsewhere(void)
{
	return subject && subject->elsewhere;
}

#endif
