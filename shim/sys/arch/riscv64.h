/* SPDX-License-Identifier: MIT */
/*
 * riscv64.h - see arch.h. There are no stacks yet: no unwinder, and what
 * only a walk needs does nothing.
 */
#ifndef SYS_ARCH_RISCV64_H
#define SYS_ARCH_RISCV64_H

#include <stdint.h>

static inline long sys_call6(long n, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = n;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;

	__asm__ volatile("ecall"
			 : "+r"(a0)
			 : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
			 : "memory");
	return a0;
}

/* DWARF's numbers; ARCH_IP: where the code goes on. */
enum { ARCH_IP = 32, ARCH_REGISTERS };

static inline void arch_take_registers(uint64_t *regs)
{
	(void)regs;
}

/* The kernel's signal frame returns to two instructions of the vDSO: li a7, 139; ecall. */
#define ARCH_SIGNAL_RETURN 0x93, 0x08, 0xb0, 0x08, 0x73, 0, 0, 0

/*
 * Relocations of a call's slot, of an address's, and of a pointer in the object's own data: an
 * address's slot is filled as any pointer is.
 */
#define ARCH_CALL_SLOT R_RISCV_JUMP_SLOT
#define ARCH_ADDRESS_SLOT R_RISCV_64
#define ARCH_POINTER_SLOT R_RISCV_64

#define ARCH_VDSO_CLOCK_GETTIME "__vdso_clock_gettime"

/* Debian's folder of the machine's libraries. */
#define ARCH_MULTIARCH "riscv64-linux-gnu"

#endif
