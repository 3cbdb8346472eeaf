/*
 * apart_entry.S - where the helper of apart.c begins and ends: on a stack of its own,
 * which no function of C can change to in the midst of a system call.
 */
#include <sys/syscall.h>

	.text
	.globl apart_start
	.hidden apart_start
	.type apart_start, %function
apart_start:
	.cfi_startproc
#if defined(__x86_64__)
	/* flags, run, alive, life: the last on the helper's stack, which ends at run */
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
#elif defined(__aarch64__)
	mov x4, x1
	stp x3, x4, [x1, #-16]!
	mov x4, x2
	mov x2, xzr
	mov x3, xzr
	mov x8, #SYS_clone
	svc #0
	cbz x0, 1f
	ret
1:	.cfi_undefined x30
	mov x29, xzr
	mov x30, xzr
	ldp x1, x0, [sp], #16
	blr x1
	mov x0, xzr
	mov x8, #SYS_exit
	svc #0
	brk #0
#endif
	.cfi_endproc
	.size apart_start, . - apart_start

	.section .note.GNU-stack, "", %progbits
