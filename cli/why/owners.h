/* SPDX-License-Identifier: MIT */
/*
 * owners.h - which processes have sockets open, as /proc tells it.
 */
#ifndef CLI_OWNERS_H
#define CLI_OWNERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "observe/sharing.h"

/* A process that has one of the sockets open. */
struct owner {
	pid_t pid;
	char prog[16]; /* as in /proc/PID/comm */
};

/* By which number, the lowest, it has a socket open; and who has it next. */
struct opening {
	uint32_t owner; /* index */
	int fd;
	uint32_t next; /* opening, plus 1; 0: that was the last */
};

/* The processes that have the socket with that inode open. */
struct owners {
	uint32_t inode;
	uint32_t count;
	uint32_t first, last; /* openings, plus 1; 0: none */
};

/* Whose descriptors can be seen. */
enum sight {
	SEES_NONE, /* not even our own: no /proc, or another's */
	SEES_OURS, /* of some processes they can't: those may have a socket too */
	SEES_ALL,
};

/* All that were found, in the order of their numbers. */
struct openings {
	struct owner *owners;
	struct opening *all;
	size_t owner_count, count;
	size_t owner_room, room; /* in memory */
	enum sight sight;
};

/*
 * Look through all processes for those sockets, in the order of their inodes, each once. What
 * does not fit into memory is left out. All of *ret is zero before; end it.
 */
void owners_find(struct owners *owners, size_t count, struct openings *ret);

/* How they came to that socket. */
void owners_sharing(const struct openings *openings, const struct owners *owners,
		    struct sharing *ret);

void openings_end(struct openings *openings);

#endif
