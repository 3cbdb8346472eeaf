/*
 * owners.c - see owners.h.
 */
#include "owners.h"

#include <dirent.h>
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
	bool sees_all, sees_us;
};

static int by_inode(const void *a, const void *b)
{
	const struct owners *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* The inode of "socket:[123]"; 0 where the link is something else. */
static uint32_t socket_inode(int folder, const char *name)
{
	char link[64];
	const ssize_t len = readlinkat(folder, name, link, sizeof(link) - 1);
	uint32_t inode;

	if (len < 0)
		return 0;
	link[len] = '\0';
	return sscanf(link, "socket:[%u]", &inode) == 1 ? inode : 0;
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

/* The last process that was counted for each entry stands in last[]. */
static void search_process(struct search *search, pid_t pid, pid_t *last)
{
	char path[64];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder) {
		search->sees_all &= errno == ENOENT; /* it has ended */
		return;
	}
	search->sees_us |= pid == getpid();
	while ((entry = readdir(folder))) {
		const struct owners key = {.inode = socket_inode(dirfd(folder), entry->d_name)};
		struct owners *found = NULL;

		if (key.inode)
			found = bsearch(&key, search->owners, search->count, sizeof(key), by_inode);
		if (found)
			add_owner(found, pid, atoi(entry->d_name), &last[found - search->owners]);
	}
	closedir(folder);
}

enum sight owners_find(struct owners *owners, size_t count)
{
	struct search search = {.owners = owners, .count = count, .sees_all = true};
	pid_t *last = calloc(count + 1, sizeof(*last));
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	while (search.owners && last && processes && (entry = readdir(processes))) {
		const long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0)
			search_process(&search, (pid_t)pid, last);
	}
	if (processes)
		closedir(processes);
	free(last);
	if (!search.sees_us)
		return SEES_NONE;
	return search.sees_all ? SEES_ALL : SEES_OURS;
}
