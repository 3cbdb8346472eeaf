/* SPDX-License-Identifier: MIT */
/*
 * nearest.c - see nearest.h.
 */
#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 32 };

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b) ||
	       (a == '-' && strchr("_ ", b));
}

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many letters are to be put in, taken out or changed, or exchanged with the next: optimal
 * string alignment. Of its table only three lines are needed at a time.
 */
static size_t distance(const char *meant, const char *word)
{
	size_t lines[3][LONGEST + 1], *above = lines[0], *row = lines[1], *next = lines[2], *spare;
	const size_t width = strlen(word);

	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t line = 1; meant[line - 1]; line++) {
		const char *at = &meant[line - 1];

		next[0] = line;
		for (size_t i = 1; i <= width; i++) {
			next[i] = least_of(row[i - 1] + !same(*at, word[i - 1]),
					   least_of(row[i], next[i - 1]) + 1);
			if (line > 1 && i > 1 && same(*at, word[i - 2]) &&
			    same(at[-1], word[i - 1]))
				next[i] = least_of(next[i], above[i - 2] + 1);
		}
		spare = above;
		above = row;
		row = next;
		next = spare;
	}
	return row[width];
}

/* Is it the beginning of that one? */
static bool begins(const char *meant, const char *word)
{
	while (*word && same(*meant, *word))
		meant++, word++;
	return !*word;
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
	const size_t len = strlen(word);
	size_t least = len < 6 ? 2 : len / 3 + 1; /* and what is so far is not near any more */
	const char *found = NULL;

	if (len < 2 || len > LONGEST)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const size_t far = begins(words[i], word) ? 0 : distance(words[i], word);

		if (far >= least)
			continue;
		least = far;
		found = words[i];
	}
	return found;
}
