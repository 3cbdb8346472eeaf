/* SPDX-License-Identifier: MIT */
/*
 * image.c - see image.h. What can't be read is not known, which the observers can do with.
 */
#include "supervise/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 64 };

static const char *path_of(char room[PATH_ROOM], pid_t pid, const char *what, int number)
{
	snprintf(room, PATH_ROOM, "/proc/%d/%s", pid, what);
	if (number >= 0)
		snprintf(room + strlen(room), PATH_ROOM - strlen(room), "/%d", number);
	return room;
}

static ssize_t content(pid_t pid, const char *what, char *ret, size_t size)
{
	char room[PATH_ROOM];
	const int fd = open(path_of(room, pid, what, -1), O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && len < size - 1) {
		got = read(fd, ret + len, size - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (fd >= 0)
		close(fd);
	ret[len] = '\0';
	return got < 0 ? -1 : (ssize_t)len;
}

/* What is asked for stands at the same place in files of both word sizes. */
const char *image_other_kind(pid_t pid)
{
	char room[PATH_ROOM];
	Elf32_Ehdr head = {0};
	const int fd = open(path_of(room, pid, "exe", -1), O_RDONLY | O_CLOEXEC);
	const bool is_narrow = fd >= 0 && read(fd, &head, sizeof(head)) == sizeof(head) &&
			       head.e_ident[EI_CLASS] == ELFCLASS32;

	if (fd >= 0)
		close(fd);
	if (!is_narrow)
		return NULL;
	return head.e_machine == EM_X86_64 ? "of x32" : "of 32 bits";
}

pid_t image_parent(pid_t pid)
{
	char text[1024], *at;
	int parent = 0;

	/* A name may hold anything, also ") R". */
	if (content(pid, "stat", text, sizeof(text)) > 0 && (at = strrchr(text, ')')) &&
	    sscanf(at, ") %*c %d", &parent) != 1)
		parent = 0;
	return parent;
}

static void learn_name(struct subject *of)
{
	char name[sizeof(of->prog) + 1] = "";
	ssize_t len = content(of->pid, "comm", name, sizeof(name));

	memset(of->prog, 0, sizeof(of->prog));
	while (len > 0 && name[len - 1] == '\n')
		name[--len] = '\0';
	memcpy(of->prog, name, sizeof(of->prog) - 1);
}

static int first_free(pid_t pid)
{
	enum { MOST = 1024 };
	char room[PATH_ROOM];
	struct stat status;
	int number = 0;

	while (number < MOST && lstat(path_of(room, pid, "fd", number), &status) == 0)
		number++;
	return number;
}

/* A number that a variable is set to in that environment; -1: none. */
static int number_in(const char *environment, size_t len, const char *name)
{
	const size_t name_len = strlen(name);
	const char *entry = environment;
	char *end;
	long number;

	for (; entry < environment + len; entry += strlen(entry) + 1) {
		if (strncmp(entry, name, name_len) != 0)
			continue;
		number = strtol(entry + name_len, &end, 10);
		return *end || number < 0 || number > 1 << 20 ? -1 : (int)number;
	}
	return -1;
}

/* sd_listen_fds(3): who inherits the variables is not who was meant. */
static int listen_fds(pid_t pid)
{
	enum { MOST = 1 << 18 };
	char *environment = malloc(MOST);
	ssize_t len = environment ? content(pid, "environ", environment, MOST) : -1;
	int count = -1;

	if (len > 0 && number_in(environment, (size_t)len, "LISTEN_PID=") == pid)
		count = number_in(environment, (size_t)len, "LISTEN_FDS=");
	free(environment);
	return count > 0 ? count : 0;
}

void image_refresh(struct subject *of)
{
	char room[PATH_ROOM];
	struct stat its, ours;

	if (stat(path_of(room, of->pid, "", -1), &its) == 0)
		of->uid = its.st_uid;
	of->elsewhere = stat(path_of(room, of->pid, "ns/net", -1), &its) == 0 &&
			stat("/proc/self/ns/net", &ours) == 0 && its.st_ino != ours.st_ino;
}

void image_learn(struct subject *of)
{
	learn_name(of);
	of->first_free = first_free(of->pid);
	of->listen_fds = listen_fds(of->pid);
	image_refresh(of);
}
