/* SPDX-License-Identifier: MIT */
/*
 * image.h - what the library would know of its process when it is loaded: read in /proc.
 */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "observe/subject.h"

/* Of one that has just been executed. */
void image_learn(struct subject *of);

/* What may have changed since then: its effective user, its network namespace. */
void image_refresh(struct subject *of);

/* Of what kind is its program, where the filter lets its calls through; NULL: of ours. */
const char *image_other_kind(pid_t pid);

/* The parent, 0 where it is not known. */
pid_t image_parent(pid_t pid);

#endif
