/* SPDX-License-Identifier: MIT */
/*
 * riscv64.S - see arch.h.
 */
#include <sys/syscall.h>

/* Call the function with all arguments but those on the stack; jump to what it returns, with all. */
.macro jump_to_what_returns function
	addi sp, sp, -80
	.cfi_adjust_cfa_offset 80
	sd ra, 64(sp)
	.cfi_rel_offset ra, 64
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	sd a\n, 8*\n(sp)
	.endr
	call \function
	mv t1, a0
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	ld a\n, 8*\n(sp)
	.endr
	ld ra, 64(sp)
	.cfi_restore ra
	addi sp, sp, 80
	.cfi_adjust_cfa_offset -80
	jr t1
.endm

/* (top, function, arg): call function(arg). The stack stays what it is. */
.macro call_on_stack
	mv a0, a2
	jr a1
.endm

/*
 * (flags, run, alive, life): clone(flags) with a stack that ends at run, and there life(run),
 * then exit. Returns the helper's id, or -errno.
 */
.macro start_on_stack
	mv t0, a1
	addi a1, a1, -16
	sd a3, 0(a1)
	sd t0, 8(a1)
	mv a4, a2
	li a2, 0
	li a3, 0
	li a7, SYS_clone
	ecall
	beqz a0, 1f
	ret
1:	.cfi_undefined ra /* nobody called the helper */
	li s0, 0
	li ra, 0
	ld t0, 0(sp)
	ld a0, 8(sp)
	addi sp, sp, 16
	jalr t0
	li a0, 0
	li a7, SYS_exit
	ecall
	ebreak
.endm
