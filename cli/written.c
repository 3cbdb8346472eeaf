/* SPDX-License-Identifier: MIT */
/*
 * written.c - see written.h.
 */
#include "written.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static bool failed(const struct written *file, const char *why)
{
	cli_say(file->who, "%s: %s", file->path, why);
	return false;
}

/* Whoever forgets to name it names a log in its place. */
static bool is_other(int fd, const char *begins)
{
	const size_t len = strlen(begins);
	char front[32];
	struct stat stat;

	return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 0 &&
	       (pread(fd, front, len, 0) != (ssize_t)len || memcmp(front, begins, len) != 0);
}

bool written_open(struct written *file)
{
	int fd;

	if (!file->path)
		return true;
	if (strcmp(file->path, "-") == 0) {
		file->file = stdout;
		return true;
	}
	fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return failed(file, strerror(errno));
	if (is_other(fd, file->begins)) {
		close(fd);
		return failed(file, "is there, and nothing of the kind: it is not written over");
	}
	file->file = fdopen(fd, "w");
	return file->file || failed(file, strerror(errno));
}

bool written_differs(const struct written *file, const struct written *other)
{
	struct stat one, two;

	if (!file->path || !other->path || fstat(fileno(file->file), &one) != 0 ||
	    fstat(fileno(other->file), &two) != 0 || !S_ISREG(one.st_mode) ||
	    one.st_dev != two.st_dev || one.st_ino != two.st_ino)
		return true;
	return failed(file, "is wanted for two at once");
}

bool written_begin(struct written *file)
{
	struct stat stat;

	if (file->file == stdout || fstat(fileno(file->file), &stat) != 0 ||
	    !S_ISREG(stat.st_mode) || ftruncate(fileno(file->file), 0) == 0)
		return true;
	return failed(file, strerror(errno));
}

bool written_close(struct written *file)
{
	bool good = true;

	if (file->file && file->file != stdout) {
		good = ferror(file->file) == 0;
		good &= fclose(file->file) == 0;
	}
	file->file = NULL;
	return good || failed(file, strerror(errno));
}
