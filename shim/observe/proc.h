/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what /proc knows: numbers in a file, the open descriptors, and which
 * process has a socket.
 */
#ifndef OBSERVE_PROC_H
#define OBSERVE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "observe/sharing.h"

/*
 * The first n numbers of a file into ret[], UINT32_MAX for a greater one. False where it has
 * fewer or can't be read.
 */
bool proc_numbers(const char *path, uint32_t *ret, unsigned int n);

/* The ports that the kernel chooses from. False where that can't be read. */
bool proc_port_range(uint16_t *first, uint16_t *last);

/* "/proc/self", or the folder of the process that is looked at. */
struct out;
void out_proc_self(struct out *out);

/* Is called with each number; what it returns other than 0 ends the walk. */
typedef int proc_visit(int number, void *arg);

/*
 * The names in a folder of /proc that are numbers: descriptors, processes. dir is
 * an open folder, or AT_FDCWD. Return 0, -errno where it can't be listed, or what
 * the visitor returned.
 */
int proc_list(int dir, const char *path, proc_visit *visit, void *arg);

/*
 * The inode of the socket that a descriptor is, by the folder of a process's descriptors; 0: it is
 * none, -errno: that can't be seen.
 */
int64_t proc_socket_inode(int fds, int number);

/*
 * What a process is, and its descriptor. False where that can't be read. The room is for
 * the texts: a caller's stack may be too small for them.
 */
enum { PROC_ROOM = 256 };
bool proc_sharer(pid_t pid, int fd, char room[PROC_ROOM], struct sharer *ret);

struct proc_owner {
	pid_t pid; /* 0: not found */
	pid_t tid; /* no descriptor of it, but a call of this thread of ours is blocked on it; or 0
		    */
	int fd;	   /* its number there, where tid is 0 */
	bool outlives_exec; /* the descriptor: it lacks O_CLOEXEC */
	uint32_t others;    /* who have it too; of a keeper not counted */
	struct shared shared;
	char prog[16];
	bool looked_up; /* to the end: nobody else that we may see has it */
};

/*
 * Find the processes that have the socket with this inode open, our own first. Gives up
 * after 20 ms or 2,000 descriptors.
 */
void proc_find_owner(uint32_t inode, struct proc_owner *ret);

/* The same, for who has more time, or less. */
void proc_find_owner_within(uint32_t inode, uint64_t most_ns, unsigned int most_descriptors,
			    struct proc_owner *ret);

/*
 * The same of what keeps a socket open that was this number of ours and has been closed; after our
 * own descriptors a thread of ours that waits in a call on that number. Which socket that waits
 * for is known only where the number is not open again. -1: no threads are looked at.
 */
void proc_find_keeper(uint32_t inode, int closed, struct proc_owner *ret);
void proc_find_keeper_within(uint32_t inode, int closed, uint64_t most_ns,
			     unsigned int most_descriptors, struct proc_owner *ret);

#endif
