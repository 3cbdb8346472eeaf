/* SPDX-License-Identifier: MIT */
/*
 * html.c - see html.h.
 */
#include "report/html.h"

#include <stdint.h>
#include <stdlib.h>

void html_begin(struct html *page, FILE *out, size_t most)
{
	*page = (struct html){.out = out, .left = most};
}

FILE *html_part(struct html *page)
{
	page->part = open_memstream(&page->text, &page->size);
	page->failed |= !page->part;
	return page->part;
}

bool html_end_part(struct html *page, size_t kept)
{
	bool fits;

	page->failed |= fclose(page->part) != 0;
	page->part = NULL;
	fits = !page->failed && page->left >= kept && page->size <= page->left - kept;
	if (fits) {
		page->left -= page->size;
		fwrite(page->text, 1, page->size, page->out); /* ferror tells of it */
	}
	free(page->text);
	page->text = NULL;
	return fits;
}

void html_text(FILE *part, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		switch (text[i]) {
		case '&':
			fputs("&amp;", part);
			break;
		case '<':
			fputs("&lt;", part);
			break;
		case '>':
			fputs("&gt;", part);
			break;
		case '"':
			fputs("&quot;", part);
			break;
		case '\'':
			fputs("&#39;", part);
			break;
		default:
			putc(text[i], part);
		}
}

void html_out(FILE *part, const struct out *text)
{
	html_text(part, text->start, out_len(text));
}

static void write_base64(FILE *part, const char *bytes, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		const size_t n = size - i < 3 ? size - i : 3;
		uint32_t word = 0;

		for (size_t k = 0; k < 3; k++)
			word = word << 8 | (k < n ? (unsigned char)bytes[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			putc(k <= n ? digits[word >> (18 - 6 * k) & 63] : '=', part);
	}
}

void html_image(FILE *part, const char *svg, size_t size, const struct out *alt)
{
	fputs("<img alt=\"", part);
	html_out(part, alt);
	fputs("\" src=\"data:image/svg+xml;base64,", part);
	write_base64(part, svg, svg ? size : 0);
	fputs("\">", part);
}
