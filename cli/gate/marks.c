/* SPDX-License-Identifier: MIT */
/*
 * marks.c - see marks.h. The file is anybody's in the tree: what is told of it is escaped there,
 * and what is no file is not waited for.
 */
#include "gate/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MOST = 64 << 20 };

static FILE *open_text(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat stat_of;
	FILE *file = NULL;

	if (fd >= 0 && fstat(fd, &stat_of) == 0 && S_ISREG(stat_of.st_mode))
		file = fdopen(fd, "r");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

static char *read_text(const char *path)
{
	FILE *file = open_text(path);
	char *text = NULL;
	size_t used = 0, room = 0, got = 1;

	while (file && got && used < TEXT_MOST) {
		char *more = realloc(text, (room = room ? 2 * room : 65536) + 1);

		if (!more)
			break;
		text = more;
		got = fread(text + used, 1, room - used, file);
		used += got;
	}
	if (file)
		fclose(file);
	if (text)
		text[used] = '\0';
	return text;
}

static bool take(char *line, struct marked *ret)
{
	char *end;

	errno = 0;
	ret->time_ns = strtoull(line, &end, 10);
	if (errno || end == line || *end != ' ')
		return false;
	line = end;
	ret->pid = (int32_t)strtol(line, &end, 10);
	if (end == line || (*end && *end != ' '))
		return false;
	ret->text = *end ? end + 1 : end;
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct marked *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

void marks_read(struct marks *ret, const char *path)
{
	char *rest;
	size_t lines = 1;

	*ret = (struct marks){.text = read_text(path), .one = true};
	for (const char *at = ret->text; at && *at; at++)
		lines += *at == '\n';
	ret->all = ret->text ? calloc(lines, sizeof(*ret->all)) : NULL;
	rest = ret->all ? ret->text : NULL;
	while (rest) {
		char *const line = strsep(&rest, "\n");

		if (!take(line, &ret->all[ret->count]))
			continue;
		ret->one &= ret->all[ret->count].pid == ret->all[0].pid;
		ret->count++;
	}
	if (ret->count)
		qsort(ret->all, ret->count, sizeof(*ret->all), by_time);
}

const char *marks_at(const struct marks *marks, uint64_t time_ns, int32_t pid)
{
	for (size_t i = marks->count; i-- > 0;) {
		const struct marked *mark = &marks->all[i];

		if (mark->time_ns <= time_ns && (marks->one || mark->pid == pid))
			return *mark->text ? mark->text : NULL;
	}
	return NULL;
}

void marks_end(struct marks *marks)
{
	free(marks->all);
	free(marks->text);
}
