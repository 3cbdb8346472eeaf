/* SPDX-License-Identifier: MIT */
/*
 * unclosed.h - connections that a program has open though their peers have closed.
 */
#ifndef CLI_UNCLOSED_H
#define CLI_UNCLOSED_H

#include "facts/out.h"
#include "why/crowd.h"

/*
 * Whose those of a group are (alike.unclosed), how many, and how long ago at least the first of
 * the peers closed.
 */
void out_unclosed(struct out *out, const struct openings *openings, const struct group *group);

/* In the largest unit of which there is more than one, rounded down: "119 min". */
void out_age(struct out *out, uint64_t seconds);

#endif
