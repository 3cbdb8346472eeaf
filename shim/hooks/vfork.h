/* SPDX-License-Identifier: MIT */
/*
 * vfork.h - what runs in this memory besides this process: see vfork.c.
 */
#ifndef HOOKS_VFORK_H
#define HOOKS_VFORK_H

#include <sched.h>
#include <unistd.h>

#include "sys/process.h"

/* What the exported functions jump to, with the program's arguments. */
__typeof__(vfork) *vfork_way(void);
__typeof__(clone) *clone_way(int (*run)(void *), void *stack, int flags);

/* Before a clone with these flags, by whatever name. */
static inline void clone_with(unsigned long flags)
{
	if ((flags & CLONE_VM) && !(flags & CLONE_THREAD))
		process_lend();
}

#endif
