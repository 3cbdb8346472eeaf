/* SPDX-License-Identifier: MIT */
/*
 * fuzz_script.c - any bytes as a script: its first line, and the lines of its text that matter.
 */
#include "program/script.h"

#include "check/wrapper.h"
#include "fuzz.h"

static unsigned int lines_in(const uint8_t *data, size_t size)
{
	unsigned int lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	return lines;
}

static void check_place(const struct script_place *place, unsigned int lines)
{
	HOLDS(place->line <= lines);
	HOLDS(memchr(place->words, '\0', sizeof(place->words)));
	HOLDS(place->line || !*place->words);
	HOLDS(!strchr(place->words, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* In a room of its own, so that one byte too far is seen. */
	char interpreter[SCRIPT_LINE], argument[SCRIPT_LINE], *text = malloc(size);
	struct script_view view;

	HOLDS(text || !size);
	if (size)
		memcpy(text, data, size);
	if (script_line(text, size, interpreter, argument)) {
		HOLDS(memcmp(data, "#!", 2) == 0);
		HOLDS(*interpreter && !strpbrk(interpreter, " \t\n"));
		HOLDS(strlen(interpreter) + strlen(argument) < SCRIPT_LINE);
	}
	script_look(&view, text, size, wrapper_loses);
	check_place(&view.loses, lines_in(data, size));
	check_place(&view.execs, lines_in(data, size));
	free(text);
	return 0;
}
