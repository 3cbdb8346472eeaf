/* SPDX-License-Identifier: MIT */
/*
 * marks.h - what a test runner says of the time: which test begins, in which process. It appends
 * lines to the file that TCPSHIM_MARKS names,
 *
 *	TIME PID TEXT
 *
 * the time in nanoseconds by CLOCK_REALTIME. A mark holds until the next one of its process.
 */
#ifndef CLI_MARKS_H
#define CLI_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct marked {
	uint64_t time_ns;
	int32_t pid;
	const char *text; /* into the text; empty: nothing that has a name */
};

struct marks {
	char *text;
	struct marked *all; /* in order of time */
	size_t count;
	bool one; /* all are one process's */
};

/* Lines that are none are passed over; so is a file that is not there. End it in any case. */
void marks_read(struct marks *ret, const char *path);

/* The last before that time, of that process, or of the only one that made any. NULL: none. */
const char *marks_at(const struct marks *marks, uint64_t time_ns, int32_t pid);

void marks_end(struct marks *marks);

#endif
