/* SPDX-License-Identifier: MIT */
/*
 * reader.h - what the environment says of who reads a text: a terminal's colours, a
 * locale's characters. Pure: the values of the variables are handed in, NULL where unset.
 */
#ifndef FACTS_READER_H
#define FACTS_READER_H

#include <stdbool.h>

#include "facts/settings.h"

/* no_color: NO_COLOR, which asks for none where it is not empty; term: TERM, which may be dumb. */
bool reader_wants_color(enum color_mode mode, bool is_terminal, const char *no_color,
			const char *term);

/* LC_ALL, LC_CTYPE, LANG: the first that is not empty decides (man 7 locale). */
bool reader_knows_utf8(const char *lc_all, const char *lc_ctype, const char *lang);

#endif
