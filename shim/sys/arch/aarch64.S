/* SPDX-License-Identifier: MIT */
/*
 * aarch64.S - see arch.h.
 */
#include <sys/syscall.h>


/* Call the function with all arguments but those on the stack; jump to what it returns, with all. */
.macro jump_to_what_returns function
	hint #34 /* bti c: where branches are checked, they may come here */
	stp x29, x30, [sp, #-80]!
	.cfi_adjust_cfa_offset 80
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp x0, x1, [sp, #16]
	stp x2, x3, [sp, #32]
	stp x4, x5, [sp, #48]
	stp x6, x7, [sp, #64]
	bl \function
	mov x16, x0
	ldp x0, x1, [sp, #16]
	ldp x2, x3, [sp, #32]
	ldp x4, x5, [sp, #48]
	ldp x6, x7, [sp, #64]
	ldp x29, x30, [sp], #80
	.cfi_adjust_cfa_offset -80
	.cfi_restore x29
	.cfi_restore x30
	br x16
.endm

/* (top, function, arg): call function(arg). The stack stays what it is. */
.macro call_on_stack
	mov x0, x2
	br x1
.endm

/*
 * (flags, run, alive, life): clone(flags) with a stack that ends at run, and there life(run),
 * then exit. Returns the helper's id, or -errno.
 */
.macro start_on_stack
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
.endm
