/* SPDX-License-Identifier: MIT */
/*
 * walk.h - the callers of a hook, as the number of their stack (facts/callsite.h).
 *
 * The walk runs with all signals blocked on a stack of its own: the caller's may
 * be small, or a signal handler's. It takes no lock, allocates nothing and writes
 * no errno, except where it meets a place in the code for the first time: there
 * libunwind takes locks of its own (see unwind_learn).
 */
#ifndef OBSERVE_WALK_H
#define OBSERVE_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct unwind;

/* At load: from now on walks work. Or -ENOMEM; -ENOSYS where libunwind refuses. */
int walk_init(const struct unwind *unwind);

/* The callers of libreuse, at most n; 0 where there are none to tell, or walks do not work. */
uint32_t walk_callers(unsigned int n);

#endif
