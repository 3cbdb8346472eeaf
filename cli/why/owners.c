/* SPDX-License-Identifier: MIT */
/*
 * owners.c - see owners.h. One pass over all processes, whatever the number of sockets; of a
 * process only what is asked for is read, and of one that has none of them nothing but the links.
 */
#include "why/owners.h"

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
	struct openings *found;
	pid_t pid; /* whose descriptors are looked at */
	bool is_known, is_gone, sees_all, sees_us;
	int fds;
};

static int by_inode(const void *a, const void *b)
{
	const struct owners *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* The list, which doubles where it has no room for one more; NULL: no memory, it is as it was. */
static void *with_room(void *list, size_t *room, size_t count, size_t size)
{
	const size_t wanted = *room ? *room * 2 : 64;
	void *more;

	if (count < *room)
		return list;
	more = realloc(list, wanted * size);
	if (more)
		*room = wanted;
	return more;
}

/* The process that is looked at has one of them: who is it? */
static bool know_process(struct search *search)
{
	struct openings *found = search->found;
	struct owner *owner;
	char path[64];
	int fd;
	ssize_t len = -1;

	if (search->is_known || search->is_gone)
		return search->is_known;
	search->is_gone = true;
	owner = with_room(found->owners, &found->owner_room, found->owner_count, sizeof(*owner));
	if (!owner)
		return false;
	found->owners = owner;
	owner = &found->owners[found->owner_count];
	*owner = (struct owner){.pid = search->pid};
	snprintf(path, sizeof(path), "/proc/%d/comm", search->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, owner->prog, sizeof(owner->prog) - 1);
		close(fd);
	}
	if (len <= 0)
		return false;
	owner->prog[len - (owner->prog[len - 1] == '\n')] = '\0';
	found->owner_count++;
	search->is_gone = false;
	return search->is_known = true;
}

/* A process may have a socket open under several numbers: it is one owner. */
static void add_opening(struct search *search, struct owners *owners, int fd)
{
	struct openings *found = search->found;
	struct opening *all;
	uint32_t owner;

	if (!know_process(search))
		return;
	owner = (uint32_t)found->owner_count - 1;
	if (owners->last && found->all[owners->last - 1].owner == owner) {
		if (fd < found->all[owners->last - 1].fd)
			found->all[owners->last - 1].fd = fd;
		return;
	}
	all = with_room(found->all, &found->room, found->count, sizeof(*all));
	if (!all)
		return;
	found->all = all;
	found->all[found->count++] = (struct opening){.owner = owner, .fd = fd};
	if (owners->last)
		found->all[owners->last - 1].next = (uint32_t)found->count;
	else
		owners->first = (uint32_t)found->count;
	owners->last = (uint32_t)found->count;
	owners->count++;
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
		add_opening(search, found, fd);
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
	search->is_known = search->is_gone = false;
	proc_list(search->fds, ".", visit_fd, search);
	close(search->fds);
	return 0;
}

void owners_find(struct owners *owners, size_t count, struct openings *ret)
{
	struct search search = {
		.owners = owners,
		.count = count,
		.found = ret,
		.sees_all = true,
	};

	proc_list(AT_FDCWD, "/proc", visit_process, &search);
	ret->sight = !search.sees_us ? SEES_NONE : search.sees_all ? SEES_ALL : SEES_OURS;
}

void owners_sharing(const struct openings *openings, const struct owners *owners,
		    struct sharing *ret)
{
	*ret = (struct sharing){0};
	for (uint32_t at = owners->first; at; at = openings->all[at - 1].next) {
		const struct opening *opening = &openings->all[at - 1];
		struct sharer sharer;
		char room[PROC_ROOM];

		if (proc_sharer(openings->owners[opening->owner].pid, opening->fd, room, &sharer))
			sharing_add(ret, &sharer, 0);
	}
}

void openings_end(struct openings *openings)
{
	free(openings->owners);
	free(openings->all);
}
