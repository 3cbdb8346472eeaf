/* SPDX-License-Identifier: MIT */
/*
 * work_stack.S - work_on_stack, see work.h.
 */
#include "sys/arch/arch.h"

	.text
	.globl work_on_stack
	.hidden work_on_stack
	.type work_on_stack, %function
work_on_stack:
	.cfi_startproc
	call_on_stack
	.cfi_endproc
	.size work_on_stack, . - work_on_stack

	.section .note.GNU-stack, "", %progbits
