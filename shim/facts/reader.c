/* SPDX-License-Identifier: MIT */
/*
 * reader.c - see reader.h.
 */
#include "facts/reader.h"

#include <stddef.h>
#include <string.h>

static bool is_set(const char *value)
{
	return value && *value;
}

bool reader_wants_color(enum color_mode mode, bool is_terminal, const char *no_color,
			const char *term)
{
	if (mode != COLOR_AUTO)
		return mode == COLOR_ALWAYS;
	return is_terminal && !is_set(no_color) && is_set(term) && strcmp(term, "dumb") != 0;
}

/* "C.UTF-8", "en_US.utf8", "de_DE.UTF-8@euro" */
static bool names_utf8(const char *locale)
{
	const char *charset = strchr(locale, '.');

	return charset &&
	       (strncmp(charset, ".UTF-8", 6) == 0 || strncmp(charset, ".utf8", 5) == 0 ||
		strncmp(charset, ".utf-8", 6) == 0 || strncmp(charset, ".UTF8", 5) == 0);
}

bool reader_knows_utf8(const char *lc_all, const char *lc_ctype, const char *lang)
{
	const char *const in_order[] = {lc_all, lc_ctype, lang};

	for (size_t i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++)
		if (is_set(in_order[i]))
			return names_utf8(in_order[i]);
	return false;
}
