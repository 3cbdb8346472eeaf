/* SPDX-License-Identifier: MIT */
/*
 * i386.S - see arch.h. Arguments come on the stack.
 */
#include <sys/syscall.h>

/*
 * Call the function with the first three arguments, all that are looked at; jump to what it
 * returns, with all.
 */
.macro jump_to_what_returns function
	.rept 3
	pushl 12(%esp)
	.cfi_adjust_cfa_offset 4
	.endr
	call \function
	addl $12, %esp
	.cfi_adjust_cfa_offset -12
	jmp *%eax
.endm

/*
 * (top, function, arg): call function(arg) on the stack that ends at top. A frame like any
 * other to who unwinds it: the caller's stack is found by ebp.
 */
.macro call_on_stack
	pushl %ebp
	.cfi_def_cfa_offset 8
	.cfi_offset %ebp, -8
	movl %esp, %ebp
	.cfi_def_cfa_register %ebp
	movl 8(%ebp), %esp
	andl $-16, %esp
	subl $12, %esp
	pushl 16(%ebp)
	call *12(%ebp)
	leave
	.cfi_def_cfa %esp, 4
	ret
.endm

/*
 * (flags, run, alive, life): clone(flags) with a stack that ends at run, and there life(run),
 * then exit. Returns the helper's id, or -errno. By the interrupt: the other way in comes back
 * to code that takes registers from the stack, which is another one here.
 */
.macro start_on_stack
	pushl %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebx, 0
	pushl %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %esi, 0
	pushl %edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %edi, 0
	movl 20(%esp), %esi
	leal -16(%esi), %ecx
	movl %esi, (%ecx)
	movl 28(%esp), %eax
	movl %eax, 4(%ecx)
	movl 16(%esp), %ebx
	movl 24(%esp), %edi
	xorl %edx, %edx
	xorl %esi, %esi
	movl $SYS_clone, %eax
	int $0x80
	testl %eax, %eax
	jz 1f
	popl %edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %edi
	popl %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %esi
	popl %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebx
	ret
1:	.cfi_undefined %eip /* nobody called the helper */
	xorl %ebp, %ebp
	call *4(%esp)
	xorl %ebx, %ebx
	movl $SYS_exit, %eax
	int $0x80
	hlt
.endm

/* The bodies of kernel_entry.S: (number, six arguments), and (way), 0 for none. */
#define ARCH_KERNEL_ENTRY

.macro where_way_is register
	call 2f
2:	popl \register
	addl $arch_way - 2b, \register
.endm

.macro make_system_call
	.irp register, ebp, edi, esi, ebx
	pushl %\register
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %\register, 0
	.endr
	where_way_is %eax
	pushl (%eax)
	.cfi_adjust_cfa_offset 4
	movl 24(%esp), %eax
	movl 28(%esp), %ebx
	movl 32(%esp), %ecx
	movl 36(%esp), %edx
	movl 40(%esp), %esi
	movl 44(%esp), %edi
	movl 48(%esp), %ebp
	cmpl $0, (%esp)
	je 3f
	call *(%esp)
	jmp 4f
3:	int $0x80
4:	addl $4, %esp
	.cfi_adjust_cfa_offset -4
	.irp register, ebx, esi, edi, ebp
	popl %\register
	.cfi_adjust_cfa_offset -4
	.cfi_restore %\register
	.endr
	ret
.endm

.macro set_way
	where_way_is %eax
	movl 4(%esp), %ecx
	movl %ecx, (%eax)
	ret
.endm
