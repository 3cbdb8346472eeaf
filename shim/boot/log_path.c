/* SPDX-License-Identifier: MIT */
/*
 * log_path.c - the path of a log, opened. The folder may be one where others were
 * first: what is there is judged before it is opened, which may have effects, and
 * again when it is open, since it may be another by then.
 */
#include "boot/log_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "facts/names.h"
#include "sys/sys.h"

const char *error_words(int rc)
{
	const char *name = error_name(-rc);

	return name ? name : "?";
}

/* A number as the kernel writes it, with nothing behind it; -1 where it is none. */
static int parse_descriptor(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	int number = 0;

	if (!digits || digits > 9 || text[digits] || (text[0] == '0' && digits > 1))
		return -1;
	for (; *text; text++)
		number = number * 10 + (*text - '0');
	return number;
}

int descriptor_named(const char *path)
{
	static const char *const streams[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
	static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/",
					      "/proc/thread-self/fd/"};

	for (int i = 0; i < 3; i++)
		if (strcmp(path, streams[i]) == 0)
			return i;
	for (int i = 0; i < 3; i++)
		if (strncmp(path, folders[i], strlen(folders[i])) == 0)
			return parse_descriptor(path + strlen(folders[i]));
	return -1;
}

const char *descriptor_fault(int fd)
{
	const int flags = sys_fcntl(fd, F_GETFL, 0);

	if (flags < 0)
		return flags == -EBADF ? "a descriptor that is not open" : error_words(flags);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return "a descriptor that is not open for writing";
	return NULL;
}

/* /proc/PID/fd/N, a descriptor of another process: that link nobody but the kernel can make. */
static bool is_link_of_the_kernel(const char *path)
{
	static const char proc[] = "/proc/", fd[] = "/fd/";
	size_t digits;

	if (strncmp(path, proc, sizeof(proc) - 1) != 0)
		return false;
	path += sizeof(proc) - 1;
	digits = strspn(path, "0123456789");
	path += digits;
	return digits && strncmp(path, fd, sizeof(fd) - 1) == 0 &&
	       parse_descriptor(path + sizeof(fd) - 1) >= 0;
}

/* Could others have put it there, or read or change what is written? NULL: no. */
static const char *judge(const struct statx *stat)
{
	const unsigned int mode = stat->stx_mode;

	if (S_ISLNK(mode))
		return "a symbolic link, which could lead anywhere";
	if (S_ISSOCK(mode))
		return "a socket: unix:PATH was probably meant";
	if (S_ISDIR(mode))
		return "a folder";
	if (!S_ISREG(mode) && !S_ISFIFO(mode))
		return NULL; /* a device */
	if (stat->stx_uid && stat->stx_uid != sys_geteuid())
		return "another user's file";
	if (mode & S_IWOTH || (mode & S_IWGRP && stat->stx_gid != sys_getegid()))
		return "a file that others may write to";
	if (stat->stx_nlink > 1)
		return "a file that has other names as well";
	return NULL;
}

/* All that judge looks at. */
static bool is_judged_alike(const struct statx *one, const struct statx *other)
{
	return one->stx_mode == other->stx_mode && one->stx_uid == other->stx_uid &&
	       one->stx_gid == other->stx_gid && one->stx_nlink == other->stx_nlink;
}

/* A file is read as well, where that is allowed: how does it end? A FIFO is only written to. */
static int open_as(const char *path, const struct statx *stat, int flags)
{
	int fd = -EACCES;

	if (S_ISREG(stat->stx_mode))
		fd = sys_openat(AT_FDCWD, path, O_RDWR | flags, 0);
	if (fd == -EACCES && (flags & O_APPEND))
		fd = sys_openat(AT_FDCWD, path, O_WRONLY | flags, 0);
	return fd;
}

const char *log_path_judge(const char *path, int flags, int *ret_rc, struct statx *ret_stat)
{
	const int follow = is_link_of_the_kernel(path) ? 0 : AT_SYMLINK_NOFOLLOW;
	const char *fault;

	*ret_rc = sys_statx(AT_FDCWD, path, follow, STATX_BASIC_STATS, ret_stat);
	fault = *ret_rc < 0 ? error_words(*ret_rc) : judge(ret_stat);
	if (!fault && !S_ISREG(ret_stat->stx_mode) && !(flags & O_APPEND))
		fault = "no plain file";
	return fault;
}

static const char *open_existing(const char *path, int flags, int *ret_fd, struct statx *ret_stat)
{
	const int follow = is_link_of_the_kernel(path) ? 0 : O_NOFOLLOW;
	struct statx stat;
	const char *fault = log_path_judge(path, flags, ret_fd, &stat);
	bool gone;
	int rc;

	if (fault)
		return fault;
	*ret_fd = open_as(path, &stat, flags | follow);
	if (*ret_fd == -ENXIO && S_ISFIFO(stat.stx_mode))
		return "a FIFO that nobody reads";
	if (*ret_fd < 0)
		return error_words(*ret_fd);

	rc = sys_statx(*ret_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, ret_stat);
	if (rc < 0)
		fault = error_words(rc);
	else if (!is_judged_alike(&stat, ret_stat))
		fault = judge(ret_stat);
	if (!fault && (stat.stx_mode ^ ret_stat->stx_mode) & S_IFMT)
		fault = "another file at each look";
	/* Removed meanwhile: it is not there. (There are file systems that count no names.) */
	gone = rc == 0 && stat.stx_nlink && !ret_stat->stx_nlink;
	if (gone)
		fault = error_words(-ENOENT);
	if (fault)
		sys_close(*ret_fd);
	if (gone)
		*ret_fd = -ENOENT;
	return fault;
}

const char *log_path_open(const char *path, int flags, int *ret_fd, struct statx *ret_stat)
{
	enum { TRIES = 5 };
	const char *fault = NULL;

	/* A FIFO that nobody reads would wait for its reader; a terminal could become ours. */
	flags |= O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	/* Where it is not there, another process may be faster in making it. */
	for (int tries = 0; tries < TRIES; tries++) {
		fault = open_existing(path, flags, ret_fd, ret_stat);
		if (!fault || *ret_fd != -ENOENT)
			break;
		*ret_fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
		ret_stat->stx_mask = 0; /* made by us */
		fault = *ret_fd < 0 ? error_words(*ret_fd) : NULL;
		if (*ret_fd != -EEXIST)
			break;
	}
	return fault;
}
