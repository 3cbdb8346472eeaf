/* SPDX-License-Identifier: MIT */
/*
 * x86_64.S - see arch.h.
 */
#include <sys/syscall.h>

#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

/* Call the function with all arguments but those on the stack; jump to what it returns, with all. */
.macro jump_to_what_returns function
	_CET_ENDBR
	.irp register, rdi, rsi, rdx, rcx, r8, r9
	pushq %\register
	.cfi_adjust_cfa_offset 8
	.endr
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	call \function
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	.irp register, r9, r8, rcx, rdx, rsi, rdi
	popq %\register
	.cfi_adjust_cfa_offset -8
	.endr
	jmp *%rax
.endm

/*
 * (top, function, arg): call function(arg) on the stack that ends at top. A frame like any
 * other to who unwinds it: the caller's stack is found by rbp.
 */
.macro call_on_stack
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	mov %rdi, %rsp
	mov %rdx, %rdi
	call *%rsi
	leave
	.cfi_def_cfa %rsp, 8
	ret
.endm

/*
 * (flags, run, alive, life): clone(flags) with a stack that ends at run, and there life(run),
 * then exit. Returns the helper's id, or -errno.
 */
.macro start_on_stack
	movq %rsi, %r9
	subq $16, %rsi
	movq %rcx, (%rsi)
	movq %r9, 8(%rsi)
	movq %rdx, %r10
	xorl %edx, %edx
	xorl %r8d, %r8d
	movl $SYS_clone, %eax
	syscall
	testq %rax, %rax
	jz 1f
	ret
1:	.cfi_undefined rip /* nobody called the helper */
	xorl %ebp, %ebp
	popq %rax
	popq %rdi
	call *%rax
	xorl %edi, %edi
	movl $SYS_exit, %eax
	syscall
	hlt
.endm
