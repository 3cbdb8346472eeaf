/*
 * dlopen_entry.S - the exported dlopen: asks dlopen_way (dlopen.c) which function
 * is to be called, and jumps there with the program's arguments.
 *
 * libc's dlopen takes its caller from the return address: by that caller's RUNPATH
 * and $ORIGIN it looks for the file. Behind a jump it is the program's, as without
 * us. C can't promise a jump (at -O0 it is a call), so this is assembly.
 */
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

	.text
	.globl dlopen
	.type dlopen, %function
dlopen:
	.cfi_startproc
#if defined(__x86_64__)
	_CET_ENDBR
	pushq %rdi
	.cfi_adjust_cfa_offset 8
	pushq %rsi
	.cfi_adjust_cfa_offset 8
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	call dlopen_way
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	popq %rsi
	.cfi_adjust_cfa_offset -8
	popq %rdi
	.cfi_adjust_cfa_offset -8
	jmp *%rax
#elif defined(__aarch64__)
	hint #34 /* bti c: where branches are checked, they may come here */
	stp x29, x30, [sp, #-32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp x0, x1, [sp, #16]
	bl dlopen_way
	mov x16, x0
	ldp x0, x1, [sp, #16]
	ldp x29, x30, [sp], #32
	.cfi_adjust_cfa_offset -32
	.cfi_restore x29
	.cfi_restore x30
	br x16
#endif
	.cfi_endproc
	.size dlopen, . - dlopen

	.section .note.GNU-stack, "", %progbits
