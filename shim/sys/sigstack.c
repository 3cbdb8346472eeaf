/* SPDX-License-Identifier: MIT */
/*
 * sigstack.c - see sys_on_alternate_stack in sys.h.
 */
#include <signal.h>

#include "sys/sys.h"

int sys_on_alternate_stack(void)
{
	stack_t stack;

	return SYS3(SYS_sigaltstack, 0, &stack, 0) == 0 && (stack.ss_flags & SS_ONSTACK);
}
