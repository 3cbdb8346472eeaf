/* SPDX-License-Identifier: MIT */
/*
 * tree.c - see tree.h. A process is known by its number and by when it began: one that began
 * after an event of that number's is another one.
 */
#include "gate/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "observe/proc.h"

static uint64_t clock_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* When it began, by CLOCK_BOOTTIME. False where it is not there. */
static bool start_of(int32_t pid, uint64_t *ret_ns)
{
	enum { BEHIND_NAME = 19 }; /* fields between the state and the start */
	const uint64_t tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	char path[64], text[1024];
	const char *at;
	size_t got;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[got] = '\0';
	/* A name may hold anything, also ") R". */
	at = strrchr(text, ')');
	for (int i = 0; at && i <= BEHIND_NAME; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*ret_ns = strtoull(at + 1, NULL, 10) * tick;
	return true;
}

/* One that nobody has reaped yet has ended, too. */
static bool has_ended(int fd)
{
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	return poll(&ended, 1, 0) > 0;
}

/* The process that made this image's events, open: -1 where it has ended. */
static int open_process(const struct image *image)
{
	const uint64_t asleep = clock_of(CLOCK_BOOTTIME) - clock_of(CLOCK_MONOTONIC);
	const int fd = (int)syscall(SYS_pidfd_open, image->pid, 0);
	uint64_t start_ns;

	/* With the number open it is nobody else's; so it is looked at now. */
	if (fd < 0)
		return -1;
	if (!has_ended(fd) && start_of(image->pid, &start_ns) &&
	    start_ns <= image->began_ns + asleep)
		return fd;
	close(fd);
	return -1;
}

bool tree_begin(struct tree *tree, const struct images *images)
{
	tree->all = calloc(images->count + 1, sizeof(*tree->all));
	tree->count = 0;
	for (size_t i = 0; tree->all && i < images->count; i++) {
		const struct image *image = &images->all[i];
		struct tree_process *process = &tree->all[tree->count];
		const int fd = images_is_newest(images, image) ? open_process(image) : -1;

		if (fd < 0)
			continue;
		*process = (struct tree_process){.pid = image->pid, .fd = fd};
		memcpy(process->prog, image->prog, sizeof(process->prog));
		tree->count++;
	}
	return tree->all != NULL;
}

size_t tree_wait(struct tree *tree, int ms)
{
	struct pollfd *polls = calloc(tree->count + 1, sizeof(*polls));
	size_t left = 0;

	for (size_t i = 0; polls && i < tree->count; i++)
		polls[i] = (struct pollfd){.fd = tree->all[i].fd, .events = POLLIN};
	poll(polls, polls ? tree->count : 0, tree->count ? ms : 0);
	free(polls);
	for (size_t i = 0; i < tree->count; i++) {
		struct tree_process *process = &tree->all[i];

		if (has_ended(process->fd))
			close(process->fd);
		else
			tree->all[left++] = *process;
	}
	tree->count = left;
	return left;
}

struct search {
	const struct tree *tree;
	int fds;
};

static int is_recorder(int fd, void *arg)
{
	const struct search *search = arg;
	char name[16];
	struct stat stat_of;

	snprintf(name, sizeof(name), "%d", fd);
	return fstatat(search->fds, name, &stat_of, 0) == 0 &&
	       stat_of.st_dev == search->tree->dev && stat_of.st_ino == search->tree->ino;
}

bool tree_records(const struct tree *tree, const struct tree_process *process)
{
	struct search search = {.tree = tree};
	char path[64];
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	search.fds = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (search.fds < 0)
		return false;
	found = proc_list(search.fds, ".", is_recorder, &search) == 1;
	close(search.fds);
	return found;
}

void tree_end(struct tree *tree)
{
	for (size_t i = 0; tree->all && i < tree->count; i++)
		close(tree->all[i].fd);
	free(tree->all);
	tree->all = NULL;
	tree->count = 0;
}
