/* SPDX-License-Identifier: MIT */
/*
 * modules.h - the files of programs and libraries, by the base names that events have of them.
 */
#ifndef CLI_MODULES_H
#define CLI_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "table.h"

struct modules {
	struct table known; /* base names; a name of more than one file is nobody's */
	uint64_t until_ns;  /* a file that was written later is another one */
};

void modules_begin(struct modules *modules);

/* What that process has loaded, if it is there still. */
void modules_learn(struct modules *modules, pid_t pid);

/* That file may be one, as the command that is run. */
void modules_add(struct modules *modules, const char *path);

/*
 * Its path; NULL where it is not known, or might be one of several. What no process was seen with
 * is looked for below the folder that we are in.
 */
const char *modules_find(struct modules *modules, const char *name);

void modules_end(struct modules *modules);

#endif
