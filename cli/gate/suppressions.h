/* SPDX-License-Identifier: MIT */
/*
 * suppressions.h - the findings that somebody does not want to be told of: lines of a file, each
 *
 *	CODE PROGRAM PLACE
 *
 * with wildcards (* ? []) in all three; what follows a # is a remark. Pure, but for reading it.
 */
#ifndef CLI_SUPPRESSIONS_H
#define CLI_SUPPRESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suppression {
	unsigned int line;
	char *code, *program, *place; /* into the text */
	uint64_t used;		      /* findings that it took */
};

struct suppressions {
	char *text;
	struct suppression *all;
	size_t count;
	char wrong[256]; /* why it could not be understood */
};

/* False: in wrong, why. End it in any case. */
bool suppressions_read(struct suppressions *ret, const char *path);

/* The same of a text, which is changed. */
bool suppressions_parse(struct suppressions *ret, char *text);

/* The first that takes it: its number plus 1; 0: none. The names of a place are up to a NULL. */
size_t suppressions_find(const struct suppressions *all, const char *code, const char *program,
			 const char *const *places);

void suppressions_end(struct suppressions *all);

#endif
