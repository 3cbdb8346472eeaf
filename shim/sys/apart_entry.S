/* SPDX-License-Identifier: MIT */
/*
 * apart_entry.S - where the helper of apart.c begins and ends: on a stack of its own,
 * which no function of C can change to in the midst of a system call.
 */
#include "sys/arch/arch.h"

	.text
	.globl apart_start
	.hidden apart_start
	.type apart_start, %function
apart_start:
	.cfi_startproc
	start_on_stack
	.cfi_endproc
	.size apart_start, . - apart_start

	.section .note.GNU-stack, "", %progbits
