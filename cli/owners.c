/*
 * owners.c - see owners.h.
 */
#include "owners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/proc.h"

struct search {
	struct owners *owners;
	size_t count;
	pid_t *last; /* for each: the last process that was counted */
	pid_t pid;   /* whose descriptors are looked at */
	int fds;
	bool sees_all, sees_us;
};

static int by_inode(const void *a, const void *b)
{
	const struct owners *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* A process may have a socket open under several numbers: it is one owner. */
static void add_owner(struct owners *owners, pid_t pid, int fd, pid_t *last)
{
	struct sharer sharer;
	char room[PROC_ROOM];

	if (*last == pid || !proc_sharer(pid, fd, room, &sharer))
		return;
	*last = pid;
	if (owners->count < OWNERS_NAMED) {
		owners->named[owners->count].pid = pid;
		memcpy(owners->named[owners->count].prog, sharer.prog, sizeof(sharer.prog));
	}
	owners->count++;
	sharing_add(&owners->sharing, &sharer, 0);
}

static int visit_fd(int fd, void *arg)
{
	struct search *search = arg;
	const int64_t inode = proc_socket_inode(search->fds, fd);
	const struct owners key = {.inode = inode > 0 ? (uint32_t)inode : 0};
	struct owners *found = NULL;

	if (key.inode)
		found = bsearch(&key, search->owners, search->count, sizeof(key), by_inode);
	if (found)
		add_owner(found, search->pid, fd, &search->last[found - search->owners]);
	return 0;
}

static int visit_process(int pid, void *arg)
{
	struct search *search = arg;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	search->fds = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (search->fds < 0) {
		search->sees_all &= errno == ENOENT; /* it has ended */
		return 0;
	}
	search->sees_us |= pid == getpid();
	search->pid = pid;
	proc_list(search->fds, ".", visit_fd, search);
	close(search->fds);
	return 0;
}

enum sight owners_find(struct owners *owners, size_t count)
{
	struct search search = {
		.owners = owners,
		.count = count,
		.last = calloc(count + 1, sizeof(*search.last)),
		.sees_all = true,
	};

	if (search.last)
		proc_list(AT_FDCWD, "/proc", visit_process, &search);
	free(search.last);
	if (!search.sees_us)
		return SEES_NONE;
	return search.sees_all ? SEES_ALL : SEES_OURS;
}
