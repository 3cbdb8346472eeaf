/* SPDX-License-Identifier: MIT */
/*
 * told.c - has the parent told it already? A program that starts others would have each
 * of them say again what is wrong, into what it reads of them: $(command 2>&1).
 *
 * The parent has, where it was started under the library too, with the same value, and the log
 * could not be opened there either. Asked for only when there is something to be told. What can't
 * be read has told nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "facts/out.h"
#include "observe/proc.h"
#include "sys/sys.h"

/* All of a file of the parent's, ended by a zero. Return its length, or -1. */
static long read_of_parent(const char *name, char *ret, size_t size)
{
	char path[64];
	struct out out = out_into(path, sizeof(path) - 1);
	long got = 1, len = 0;
	int fd;

	out_str(&out, "/proc/");
	out_i64(&out, sys_getppid());
	out_str(&out, name);
	*out.at = '\0';
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	for (; got > 0 && (size_t)len<size - 1; len += got> 0 ? got : 0)
		got = sys_read(fd, ret + len, size - 1 - (size_t)len);
	sys_close(fd);
	ret[len] = '\0';
	return got == 0 ? len : -1;
}

/* The value of a variable in these len bytes of an environment; NULL where it has none. */
static const char *value_in(const char *environment, long len, const char *variable)
{
	const size_t name = strlen(variable);
	const char *entry = environment;

	for (; entry < environment + len; entry += strlen(entry) + 1)
		if (strncmp(entry, variable, name) == 0 && entry[name] == '=')
			return entry + name + 1;
	return NULL;
}

/* The parent's own path may have been relative, and is absolute for its children. */
static bool is_same_value(const char *parents, const char *ours)
{
	const size_t len = strcspn(parents, ":") + 1;
	const char *end;

	if (strcmp(parents, ours) == 0)
		return true;
	if ((strncmp(parents, "unix:", len) == 0 || strncmp(parents, "ring:", len) == 0) &&
	    strncmp(parents, ours, len) == 0) {
		parents += len;
		ours += len;
	}
	while (parents[0] == '.' && parents[1] == '/')
		parents += 2;
	if (parents[0] == '/' || ours[0] != '/' || strlen(ours) <= strlen(parents))
		return false;
	end = ours + strlen(ours) - strlen(parents);
	return end[-1] == '/' && strcmp(end, parents) == 0;
}

static const char *last_part(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash ? slash + 1 : path;
}

/* Does a list like LD_PRELOAD's name a library that is called as this one is? */
static bool preloads_us(const char *list)
{
	const char *name;
	Dl_info self;

	if (!dladdr((void *)&preloads_us, &self) || !self.dli_fname)
		return false;
	name = last_part(self.dli_fname, strlen(self.dli_fname));
	while (*list) {
		const size_t len = strcspn(list, " :");
		const char *part = last_part(list, len);

		if ((size_t)(list + len - part) == strlen(name) &&
		    memcmp(part, name, strlen(name)) == 0)
			return true;
		list += len + (list[len] != '\0');
	}
	return false;
}

static bool is_inherited(const char *environment, long len, const char *variable)
{
	const char *ours = variable ? secure_getenv(variable) : "";
	const char *parents = variable ? value_in(environment, len, variable) : "";
	const char *list = value_in(environment, len, "LD_PRELOAD");

	return ours && parents && list && is_same_value(parents, ours) && preloads_us(list);
}

static bool parents_name(char ret[32])
{
	const long len = read_of_parent("/comm", ret, 32);

	if (len <= 0)
		return false;
	ret[len - 1] = '\0'; /* where the line ended */
	return true;
}

static bool parent_acts(const struct settings *set)
{
	char name[32];

	return parents_name(name) && settings_act_in(set, name);
}

/* A file that is looked for among a process's descriptors. */
struct search {
	int folder;
	unsigned int seen;
	size_t len;
	char path[4096], link[4096];
};

/* The log's number is among the first thousands (sys/own.c): who has more is not gone through. */
static int is_that(int number, void *arg)
{
	enum { MOST = 8192 };
	struct search *search = arg;
	char name[16];
	struct out out = out_into(name, sizeof(name) - 1);
	long len;

	if (++search->seen > MOST)
		return -E2BIG;
	out_i64(&out, number);
	*out.at = '\0';
	len = sys_readlinkat(search->folder, name, search->link, sizeof(search->link) - 1);
	if (len < (long)search->len || memcmp(search->link, search->path, search->len) != 0)
		return false;
	search->link[len] = '\0';
	return len == (long)search->len || strcmp(search->link + search->len, " (deleted)") == 0;
}

static int open_parents_descriptors(pid_t parent)
{
	char path[32];
	struct out out = out_into(path, sizeof(path) - 1);

	out_str(&out, "/proc/");
	out_i64(&out, parent);
	out_str(&out, "/fd");
	*out.at = '\0';
	return sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/*
 * Where a path holds a %, or is another one's since, the parent's log may be open, and ours not.
 * The room is for what a small stack does not hold.
 */
static bool parent_logs(const struct settings *set, struct search *room)
{
	const pid_t parent = sys_getppid();
	char name[32];
	int len, found;

	if (set->log < LOG_FILE || !parents_name(name))
		return false;
	len = expand_path(room->path, sizeof(room->path), set, name, parent);
	room->folder = len < 0 ? len : open_parents_descriptors(parent);
	if (room->folder < 0)
		return false;
	room->len = (size_t)len;
	room->seen = 0;
	found = proc_list(room->folder, ".", is_that, room);
	sys_close(room->folder);
	return found == 1;
}

bool told_by_parent(const char *variable, const struct settings *acting)
{
	enum { SIZE = 4 << 20 }; /* more is an environment that can't be read */
	const bool is_log = acting && variable && strcmp(variable, "TCPSHIM_LOG") == 0;
	char *environment = sys_mmap_pages(SIZE);
	bool told;
	long len;

	if (sys_failed(environment))
		return false;
	len = read_of_parent("/environ", environment, SIZE);
	told = len > 0 && is_inherited(environment, len, variable) &&
	       (!acting || parent_acts(acting)) &&
	       !(is_log && parent_logs(acting, (struct search *)(void *)environment));
	sys_munmap(environment, SIZE);
	return told;
}
