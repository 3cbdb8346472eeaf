/* SPDX-License-Identifier: MIT */
/*
 * page.h - lines for a reader who has one screen: how many there were, and what is too wide for a
 * terminal goes on below.
 */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "facts/out.h"

enum { SCREEN_LINES = 23, SCREEN_COLUMNS = 80 }; /* 80x24, and the prompt below */

struct page {
	int left;     /* lines of the screen */
	size_t width; /* of the terminal; 0: none, lines are as long as they are */
	bool utf8;
	struct out line; /* what is being written */
	char room[4096];
};

/* For standard output, which has so many lines already. */
void page_begin(struct page *page, int lines);

/* End the line; where it goes on below, with so many spaces. */
void page_line(struct page *page, size_t indent);

/* The same, but what does not fit into one line of the screen is left out. */
void page_cut(struct page *page);

#endif
