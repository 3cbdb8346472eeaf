/* SPDX-License-Identifier: MIT */
/*
 * script.h - what the text of a script tells of the program that runs it, and of those that it
 * starts. Bytes in, words out.
 */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_LINE = 256 }; /* as much of the first line as the kernel reads */

/*
 * The interpreter of the "#!" line, and what stands behind it, one word whatever is in it ("":
 * nothing). False where the first len bytes of a file are not those of a script.
 */
bool script_line(const char *text, size_t len, char interpreter[SCRIPT_LINE],
		 char argument[SCRIPT_LINE]);

/* A line of a shell's that matters to what is started. */
struct script_place {
	unsigned int line; /* 0: there is none */
	char words[128];   /* from the telling word on, cut */
};

struct script_view {
	struct script_place loses; /* first that takes the library from what is started */
	struct script_place execs; /* first that has the shell become another program */
	bool moves;		   /* it changes its folder, or PATH */
};

/* Of a name that stands where commands do: does what it starts lose its environment? */
typedef bool script_loses(const char *name);

/* Look through the text of a shell. Comments, what quotes are around and here-documents are passed
 * over. */
void script_look(struct script_view *ret, const char *text, size_t len, script_loses *loses);

#endif
