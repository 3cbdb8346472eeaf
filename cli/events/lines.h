/* SPDX-License-Identifier: MIT */
/*
 * lines.h - the lines of a file, pipe or terminal, however long they are.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct lines {
	char *room;	   /* for one line of the most that is kept, and what was read behind it */
	size_t most;	   /* of a line */
	size_t begin, end; /* of what has been read and not been given */
	size_t seen;	   /* up to there is no newline */
	bool skips;	   /* the rest of a line that is too long */
};

enum lines_got {
	LINES_ONE,
	LINES_LONG, /* one that has more than that, and is passed over */
	LINES_NONE, /* no whole one: read more */
};

/* False for want of memory. Free it in any case. */
bool lines_begin(struct lines *lines, size_t most);
void lines_end(struct lines *lines);

/* As read(2): 0 at the end, or for now. */
ssize_t lines_read(struct lines *lines, int fd);

/* What was read is forgotten: the file begins anew. */
void lines_anew(struct lines *lines);

/* The next line, without its newline; it is there until more is read. */
enum lines_got lines_next(struct lines *lines, const char **ret, size_t *ret_len);

/* What stands behind the last newline, where it ends. False where nothing does. */
bool lines_rest(struct lines *lines, const char **ret, size_t *ret_len);

#endif
