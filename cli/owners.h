/*
 * owners.h - which processes have a socket open, as /proc tells it.
 */
#ifndef CLI_OWNERS_H
#define CLI_OWNERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "observe/sharing.h"

enum { OWNERS_NAMED = 4 };

/* The processes that have the socket with that inode open: how many, and the first of them. */
struct owners {
	uint32_t inode;
	uint32_t count;
	struct {
		pid_t pid;
		char prog[16]; /* as in /proc/PID/comm */
	} named[OWNERS_NAMED];
	struct sharing sharing;
};

/* Whose descriptors can be seen. */
enum sight {
	SEES_NONE, /* not even our own: no /proc, or another's */
	SEES_OURS, /* of some processes they can't: those may have a socket too */
	SEES_ALL,
};

/* Look through all processes. The entries must be in the order of their inodes, each once. */
enum sight owners_find(struct owners *owners, size_t count);

#endif
