/* SPDX-License-Identifier: MIT */
/*
 * dlopen_entry.S - the exported dlopen: asks dlopen_way (dlopen.c) which function
 * is to be called, and jumps there with the program's arguments.
 *
 * libc's dlopen takes its caller from the return address: by that caller's RUNPATH
 * and $ORIGIN it looks for the file. Behind a jump it is the program's, as without
 * us. C can't promise a jump (at -O0 it is a call), so this is assembly.
 */
#include "sys/arch/arch.h"

	.text
	.globl dlopen
	.type dlopen, %function
dlopen:
	.cfi_startproc
	jump_to_what_returns dlopen_way
	.cfi_endproc
	.size dlopen, . - dlopen

	.section .note.GNU-stack, "", %progbits
