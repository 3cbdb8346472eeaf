/* SPDX-License-Identifier: MIT */
/*
 * screen.c - see screen.h.
 */
#include "log/screen.h"

void line_paint(struct line *line, enum color color)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m",	    [CALL_COLOR] = "\033[1m",  [ERROR_COLOR] = "\033[31m",
		[STATE_COLOR] = "\033[36m", [NOTE_COLOR] = "\033[33m",
	};

	if (line->colored)
		out_str(line->out, codes[color]);
}

size_t line_width(const struct line *line)
{
	return out_width(line->start, line->out->at);
}

static void spaces(struct out *out, size_t n)
{
	const size_t room = (size_t)(out->end - out->at);

	if (n > room) {
		out->truncated = true;
		n = room;
	}
	memset(out->at, ' ', n);
	out->at += n;
}

void line_column(struct line *line, size_t column)
{
	const size_t at = line_width(line);

	spaces(line->out, at < column ? column - at : 1);
}

void line_next(struct line *line, size_t indent)
{
	out_char(line->out, '\n');
	line->start = line->out->at;
	spaces(line->out, indent);
}

/* The last space at which the line fits the width; NULL where there is none behind its indent. */
static char *break_at(const struct line *line, size_t width, size_t indent)
{
	const char *end = line->out->at;
	char *last = NULL;
	size_t before = 0;

	for (const char *at = line->start; at < end && before <= width;) {
		if (*at == ' ' && before > indent)
			last = line->start + (at - line->start);
		at = out_step(at, end, &before);
	}
	return last;
}

/* The space becomes the end of a line and the next one's indent. */
static void break_line(struct line *line, char *space, size_t indent)
{
	struct out *out = line->out;
	const size_t rest = (size_t)(out->at - space - 1);

	if (indent > (size_t)(out->end - out->at)) {
		out->truncated = true;
		return;
	}
	memmove(space + 1 + indent, space + 1, rest);
	memset(space + 1, ' ', indent);
	*space = '\n';
	out->at += indent;
	line->start = space + 1;
}

void line_wrap(struct line *line, size_t indent)
{
	const size_t width = line->width;
	char *space;

	while (width > 2 * indent && !line->out->truncated && line_width(line) > width) {
		space = break_at(line, width, indent);
		if (!space)
			return; /* a word wider than the screen: the terminal breaks it */
		break_line(line, space, indent);
	}
}
