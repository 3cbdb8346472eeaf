/* SPDX-License-Identifier: MIT */
/*
 * log_place.c - see log_place.h.
 */
#include "check/log_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "boot/boot.h"
#include "boot/log_path.h"
#include "facts/ring_file.h"

static const char *access_fault(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) < 0 ? error_words(-errno) : NULL;
}

/* May a file be made there? */
static const char *folder_fault(const char *path)
{
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		strcpy(folder, ".");
	else if (!slash[1])
		return error_words(-EISDIR);
	else
		slash[slash == folder] = '\0';
	return access_fault(folder, W_OK | X_OK);
}

/* flags as log_path_open has them. */
static const char *path_fault(struct log_place *ret, const char *path, int flags)
{
	const char *fault;
	struct statx stat;
	int rc;

	fault = log_path_judge(path, flags, &rc, &stat);
	ret->is_new = rc == -ENOENT;
	if (ret->is_new)
		return folder_fault(path);
	if (fault)
		return fault;
	ret->needs_reader = S_ISFIFO(stat.stx_mode);
	return access_fault(path, flags & O_APPEND ? W_OK : R_OK | W_OK);
}

static const char *file_fault(struct log_place *ret, const char *path)
{
	const int named = descriptor_named(path);

	return named >= 0 ? descriptor_fault(named) : path_fault(ret, path, O_APPEND);
}

/* All of a new ring's blocks are taken at once. */
static const char *room_fault(const char *path, uint64_t size)
{
	char folder[PATH_MAX];
	struct statvfs disk;
	struct rlimit limit;
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	strcpy(slash ? slash + 1 : folder, ".");
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
		return error_words(-EFBIG);
	if (statvfs(folder, &disk) == 0 && size / disk.f_frsize >= disk.f_bavail)
		return error_words(-ENOSPC);
	return NULL;
}

/* What is there, and is not empty: a recorder of this build or another, or something else. */
static const char *ring_content_fault(struct log_place *ret, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct ring_head head;
	ssize_t got;

	if (fd < 0)
		return error_words(-errno);
	memset(&head, 0, sizeof(head));
	got = pread(fd, &head, sizeof(head), 0);
	close(fd);
	if (got <= 0 || ring_head_is_ours(&head))
		return NULL;
	ret->is_other = ring_head_is_one(&head);
	return ret->is_other ? NULL : "not a flight recorder of this version, and left as it is";
}

static const char *ring_fault(struct log_place *ret, const char *path, uint64_t size)
{
	const char *fault = path_fault(ret, path, 0);

	if (fault)
		return fault;
	return ret->is_new ? room_fault(path, size) : ring_content_fault(ret, path);
}

static const char *fault_of(struct log_place *ret, const struct settings *set, const char *path,
			    int len)
{
	switch (set->log) {
	case LOG_STDERR:
		return descriptor_fault(STDERR_FILENO);
	case LOG_STDOUT:
		return descriptor_fault(STDOUT_FILENO);
	case LOG_FILE:
		return file_fault(ret, path);
	/* Nothing is sent. */
	case LOG_JOURNAL:
		return log_open_journal();
	case LOG_UNIX:
		return log_open_unix(path, (size_t)len);
	case LOG_RING:
		return ring_fault(ret, path, set->ring_size);
	case LOG_OFF:
	case LOG_KINDS:
		break;
	}
	return NULL;
}

void log_place_judge(struct log_place *ret, const struct settings *set, const char *prog)
{
	char path[PATH_MAX] = "";
	int len = 0;

	memset(ret, 0, sizeof(*ret));
	if (set->log >= LOG_FILE)
		len = expand_path(path, sizeof(path), set, prog, getpid());
	snprintf(ret->where, sizeof(ret->where), "%s%s", log_words[set->log], path);
	ret->fault = len < 0 ? error_words(-ENAMETOOLONG) : fault_of(ret, set, path, len);
}
