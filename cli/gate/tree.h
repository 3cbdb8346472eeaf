/* SPDX-License-Identifier: MIT */
/*
 * tree.h - which of the processes that made the events are still there.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <sys/types.h>

#include "gate/images.h"

struct tree_process {
	int32_t pid;
	int fd; /* a pidfd; -1: it has ended */
	char prog[16];
};

struct tree {
	struct tree_process *all;
	size_t count;
	dev_t dev; /* of the recorder: who has it open */
	ino_t ino;
};

/* Those that are there now. What cannot be had for want of memory or descriptors is not in it. */
bool tree_begin(struct tree *tree, const struct images *images);

/* Wait so long at most for one of them to end. How many are there still? */
size_t tree_wait(struct tree *tree, int ms);

/* Is it seen to have the recorder open? A number may be another's, whom we may not look at. */
bool tree_records(const struct tree *tree, const struct tree_process *process);

void tree_end(struct tree *tree);

#endif
