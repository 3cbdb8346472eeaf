/* SPDX-License-Identifier: MIT */
/*
 * lines.c - see lines.h.
 */
#include "events/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool lines_begin(struct lines *lines, size_t most)
{
	*lines = (struct lines){.room = malloc(2 * most), .most = most};
	return lines->room != NULL;
}

void lines_end(struct lines *lines)
{
	free(lines->room);
	lines->room = NULL;
}

ssize_t lines_read(struct lines *lines, int fd)
{
	ssize_t got;

	memmove(lines->room, lines->room + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->seen -= lines->begin;
	lines->begin = 0;
	do
		got = read(fd, lines->room + lines->end, 2 * lines->most - lines->end);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		lines->end += (size_t)got;
	return got;
}

void lines_anew(struct lines *lines)
{
	lines->begin = lines->end = lines->seen = 0;
	lines->skips = false;
}

/* More than the most without a newline: none of it is kept. */
static enum lines_got pass_over(struct lines *lines)
{
	const bool first = !lines->skips;

	if (!lines->skips && lines->end - lines->begin <= lines->most)
		return LINES_NONE;
	lines->skips = true;
	lines->begin = lines->end;
	return first ? LINES_LONG : LINES_NONE;
}

enum lines_got lines_next(struct lines *lines, const char **ret, size_t *ret_len)
{
	const char *from, *newline;

	for (;;) {
		from = lines->room + lines->seen;
		newline = memchr(from, '\n', lines->end - lines->seen);
		if (!newline) {
			lines->seen = lines->end;
			return pass_over(lines);
		}
		*ret = lines->room + lines->begin;
		*ret_len = (size_t)(newline - *ret);
		lines->begin = lines->seen = (size_t)(newline - lines->room) + 1;
		if (!lines->skips)
			return *ret_len > lines->most ? LINES_LONG : LINES_ONE;
		lines->skips = false;
	}
}

bool lines_rest(struct lines *lines, const char **ret, size_t *ret_len)
{
	*ret = lines->room + lines->begin;
	*ret_len = lines->end - lines->begin;
	lines->begin = lines->seen = lines->end;
	return *ret_len != 0 && !lines->skips;
}
