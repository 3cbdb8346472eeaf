/* SPDX-License-Identifier: MIT */
/*
 * filter.h - which system calls stop the program: a filter (man 2 seccomp) that stops it at the
 * calls of calls.def that are asked for, and costs nothing at others.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"

/* What it is to stop at: the calls; or of setsockopt only where an option of reuse is set. */
struct filter_wish {
	uint32_t calls; /* set of enum call_id; CALL_exit: exit_group */
	bool reuse_options;
};

enum { FILTER_MOST = 128 };

/* The filter in ret; how many instructions. */
unsigned short filter_make(const struct filter_wish *wish, struct sock_filter ret[FILTER_MOST]);

/* Is there such a filter here? Else errno says why not. */
bool filter_is_possible(void);

/* For this thread and all that comes of it, for good. Return 0 or -errno. */
int filter_install(const struct filter_wish *wish);

/* The call of calls.def that a number stands for; false where it is none. */
bool filter_call(int64_t number, enum call_id *ret);

#endif
