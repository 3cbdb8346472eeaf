/*
 * x86_64.S - see arch.h.
 */
#include <sys/syscall.h>

#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

/* Call the function with the first two arguments; jump to what it returns, with the same. */
.macro jump_to_what_returns function
	_CET_ENDBR
	pushq %rdi
	.cfi_adjust_cfa_offset 8
	pushq %rsi
	.cfi_adjust_cfa_offset 8
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	call \function
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	popq %rsi
	.cfi_adjust_cfa_offset -8
	popq %rdi
	.cfi_adjust_cfa_offset -8
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
