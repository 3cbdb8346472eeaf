/* SPDX-License-Identifier: MIT */
/*
 * vfork.c - the hooks of vfork and clone: a process that runs in this memory is not to be taken
 * for its parent. From the first of them on it is asked each time who calls; until then nobody
 * else can be here (sys/process.h).
 *
 * Who calls vfork returns twice, and its frame must be as it was. So vfork_entry.S jumps to what
 * the functions here name: to libc's own, as if we were not there.
 */
#include "hooks/vfork.h"

#include "hooks/hook.h"

__typeof__(vfork) *vfork_way(void)
{
	if (libc.vfork == by_syscall.vfork)
		libc_resolve(); /* before boot; by system call it can't be made from C */
	process_lend();
	return libc.vfork;
}

__typeof__(clone) *clone_way(int (*run)(void *), void *stack, int flags)
{
	(void)run;
	(void)stack;
	if (libc.clone == by_syscall.clone)
		libc_resolve();
	clone_with((unsigned int)flags);
	return libc.clone;
}
