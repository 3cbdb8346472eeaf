/* SPDX-License-Identifier: MIT */
/*
 * page.c - see page.h.
 */
#include "why/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "facts/reader.h"
#include "log/screen.h"

static struct out anew(struct page *page)
{
	return out_into(page->room, sizeof(page->room) - 1);
}

void page_begin(struct page *page, int lines)
{
	struct winsize size = {0};

	page->left = SCREEN_LINES - lines;
	page->width = 0;
	if (isatty(STDOUT_FILENO)) {
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
		page->width = size.ws_col ? size.ws_col : SCREEN_COLUMNS;
		if (size.ws_row > 2)
			page->left += size.ws_row - 1 - SCREEN_LINES;
	}
	page->utf8 = reader_knows_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"));
	page->line = anew(page);
}

static void put(struct page *page)
{
	if (!page->utf8)
		out_as_ascii(&page->line, page->room);
	*page->line.at = '\0';
	puts(page->room);
	page->line = anew(page);
}

void page_line(struct page *page, size_t indent)
{
	struct out *out = &page->line;
	const size_t width = out_width(page->room, out->at);
	struct line line = {.out = out, .start = page->room, .width = (uint16_t)page->width};

	if (page->width) {
		line_wrap(&line, indent);
		for (const char *at = page->room; at < out->at; at++)
			page->left -= *at == '\n';
		page->left--;
	} else {
		page->left -= (int)(width ? (width + SCREEN_COLUMNS - 1) / SCREEN_COLUMNS : 1);
	}
	put(page);
}

void page_cut(struct page *page)
{
	struct out *out = &page->line;

	if (page->width && out_width(page->room, out->at) > page->width) {
		while (out->at > page->room && out_width(page->room, out->at) > page->width - 3)
			out->at--;
		while (out->at > page->room && ((unsigned char)*out->at & 0xc0) == 0x80)
			out->at--;
		out_str(out, "...");
	}
	page->left--;
	put(page);
}
