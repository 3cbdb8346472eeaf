/* SPDX-License-Identifier: MIT */
/*
 * html.h - an HTML page that is made in parts and never grows over a size: what does not fit is
 * left out, and who made it is told so.
 *
 * What others have given gets into it by html_text alone; pictures as images, in which there is
 * none of it.
 */
#ifndef CLI_HTML_H
#define CLI_HTML_H

#include <stdbool.h>
#include <stdio.h>

#include "facts/out.h"

struct html {
	FILE *out;   /* the file */
	size_t left; /* bytes that it may still get */
	FILE *part;  /* what is being made */
	char *text;  /* that, when it is made */
	size_t size;
	bool failed; /* for want of memory */
};

/* All is left to be written but so many bytes. */
void html_begin(struct html *page, FILE *out, size_t most);

/* A part: written whole where `kept` bytes are left behind it, else left out. False: it is. */
FILE *html_part(struct html *page);
bool html_end_part(struct html *page, size_t kept);

/* Printable text, as it is to be read. */
void html_text(FILE *part, const char *text, size_t len);
void html_out(FILE *part, const struct out *text);

/* A picture in SVG, with what it shows in words. */
void html_image(FILE *part, const char *svg, size_t size, const struct out *alt);

#endif
