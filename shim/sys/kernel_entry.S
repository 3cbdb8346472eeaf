/* SPDX-License-Identifier: MIT */
/*
 * kernel_entry.S - sys_call6 of machines where it is too long to stand in each place that makes
 * a system call; of the others, nothing.
 */
#include "sys/arch/arch.h"

#ifdef ARCH_KERNEL_ENTRY
	.local arch_way
	.comm arch_way, 4, 4

	.text
	.globl sys_call6
	.hidden sys_call6
	.type sys_call6, %function
sys_call6:
	.cfi_startproc
	make_system_call
	.cfi_endproc
	.size sys_call6, . - sys_call6

	.globl arch_enter_by
	.hidden arch_enter_by
	.type arch_enter_by, %function
arch_enter_by:
	.cfi_startproc
	set_way
	.cfi_endproc
	.size arch_enter_by, . - arch_enter_by
#else
	.set it_stands_inline, 1 /* of a file without a symbol, tools complain */
#endif

	.section .note.GNU-stack, "", %progbits
