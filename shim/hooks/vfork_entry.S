/* SPDX-License-Identifier: MIT */
/*
 * vfork_entry.S - the exported vfork and clone: ask vfork_way and clone_way (vfork.c), and jump to
 * libc's with the program's arguments.
 *
 * A vfork child returns from here first, and calls others over the same stack. Behind a jump there
 * is nothing of ours on it, nor on a shadow stack. C can't promise a jump, so this is assembly.
 */
#include "sys/arch/arch.h"

	.text
	.globl vfork, __vfork, clone, __clone
	.type vfork, %function
	.type __vfork, %function
vfork:
__vfork:
	.cfi_startproc
	jump_to_what_returns vfork_way
	.cfi_endproc
	.size vfork, . - vfork
	.size __vfork, . - __vfork

	.type clone, %function
	.type __clone, %function
clone:
__clone:
	.cfi_startproc
	jump_to_what_returns clone_way
	.cfi_endproc
	.size clone, . - clone
	.size __clone, . - __clone

	.section .note.GNU-stack, "", %progbits
