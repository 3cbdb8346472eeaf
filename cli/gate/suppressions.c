/* SPDX-License-Identifier: MIT */
/*
 * suppressions.c - see suppressions.h.
 */
#include "gate/suppressions.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/gate_options.h"

enum { TEXT_MOST = 1 << 20 };

static const char blanks[] = " \t\r";

/* The next word, ended; NULL: there is none. */
static char *word(char **at)
{
	char *const begin = *at + strspn(*at, blanks);
	const size_t len = strcspn(begin, blanks);

	*at = begin + len + (begin[len] != '\0');
	begin[len] = '\0';
	return len ? begin : NULL;
}

/* A misspelt code would never be used; that is said at once. */
static bool names_a_code(const char *pattern)
{
	for (int code = 0; code < GATE_CODES; code++)
		if (fnmatch(pattern, gate_code_name((enum gate_code)code), 0) == 0)
			return true;
	return false;
}

static bool refuse(struct suppressions *all, unsigned int line, const char *text, const char *why)
{
	snprintf(all->wrong, sizeof(all->wrong), "line %u: %.100s%s", line, text, why);
	return false;
}

/* A # within a word belongs to it. */
static void cut_remark(char *line)
{
	for (char *at = line; *at; at++) {
		if (*at != '#' || (at > line && !strchr(blanks, at[-1])))
			continue;
		*at = '\0';
		return;
	}
}

static bool take_line(struct suppressions *all, unsigned int number, char *line)
{
	struct suppression one = {.line = number};
	char *more;

	cut_remark(line);
	one.code = word(&line);
	if (!one.code)
		return true;
	one.program = word(&line);
	one.place = word(&line);
	more = word(&line);
	if (!one.place)
		return refuse(all, number, "CODE PROGRAM PLACE is expected", " (* for any)");
	if (more)
		return refuse(all, number, more,
			      ": more than CODE PROGRAM PLACE (for a blank in a name: ?)");
	if (!names_a_code(one.code))
		return refuse(all, number, one.code, " is no code of --fail-on");
	all->all[all->count++] = one;
	return true;
}

bool suppressions_parse(struct suppressions *ret, char *text)
{
	size_t lines = 1;
	unsigned int number = 0;

	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	ret->all = calloc(lines, sizeof(*ret->all));
	if (!ret->all)
		return refuse(ret, 0, strerror(ENOMEM), "");
	while (text) {
		char *const line = strsep(&text, "\n");

		if (!take_line(ret, ++number, line))
			return false;
	}
	return true;
}

static bool fail(struct suppressions *ret, const char *why)
{
	snprintf(ret->wrong, sizeof(ret->wrong), "%s", why);
	return false;
}

bool suppressions_read(struct suppressions *ret, const char *path)
{
	FILE *file = fopen(path, "re");
	size_t got;

	*ret = (struct suppressions){.text = malloc(TEXT_MOST + 1)};
	if (!file || !ret->text) {
		fail(ret, strerror(errno));
		if (file)
			fclose(file);
		return false;
	}
	got = fread(ret->text, 1, TEXT_MOST + 1, file);
	if (ferror(file)) {
		fail(ret, strerror(errno));
		fclose(file);
		return false;
	}
	fclose(file);
	if (got > TEXT_MOST || memchr(ret->text, '\0', got))
		return fail(ret, got > TEXT_MOST ? "more than a megabyte" : "no text");
	ret->text[got] = '\0';
	return suppressions_parse(ret, ret->text);
}

static bool matches_place(const char *pattern, const char *const *places)
{
	if (!*places)
		return strcmp(pattern, "*") == 0;
	for (; *places; places++)
		if (fnmatch(pattern, *places, 0) == 0)
			return true;
	return false;
}

size_t suppressions_find(const struct suppressions *all, const char *code, const char *program,
			 const char *const *places)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct suppression *one = &all->all[i];

		if (fnmatch(one->code, code, 0) == 0 && fnmatch(one->program, program, 0) == 0 &&
		    matches_place(one->place, places))
			return i + 1;
	}
	return 0;
}

void suppressions_end(struct suppressions *all)
{
	free(all->all);
	free(all->text);
}
