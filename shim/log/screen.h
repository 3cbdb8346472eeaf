/* SPDX-License-Identifier: MIT */
/*
 * screen.h - a line of text on a terminal: colours, columns, and what does not fit
 * goes on below.
 */
#ifndef LOG_SCREEN_H
#define LOG_SCREEN_H

#include "facts/out.h"
#include "log/render.h"

enum color { PLAIN, CALL_COLOR, ERROR_COLOR, STATE_COLOR, NOTE_COLOR };

/* A line that is being made, and where it began in the buffer. */
struct line {
	struct out *out;
	char *start;
	bool colored;
	uint16_t width; /* of the terminal; 0: none, or one on which no column has room */
};

static inline struct line line_begin(struct out *out, const struct text_style *style)
{
	enum { LEAST_WIDTH = 40 };

	return (struct line){
		.out = out,
		.start = out->at,
		.colored = style->colored,
		.width = style->width < LEAST_WIDTH ? 0 : style->width,
	};
}

/* Is the terminal too narrow for all that a line says? Then it says less (text.c). */
static inline bool line_is_narrow(const struct line *line)
{
	enum { NARROW = 110 };

	return line->width && line->width < NARROW;
}

void line_paint(struct line *line, enum color color);

/* How many places of the screen the line has taken so far. */
size_t line_width(const struct line *line);

/* Spaces up to that column; one where it is passed already. */
void line_column(struct line *line, size_t column);

/* End the line, and begin the next one with so many spaces. */
void line_next(struct line *line, size_t indent);

/* Where it is wider than the terminal, go on below, at words, with so many spaces. */
void line_wrap(struct line *line, size_t indent);

#endif
