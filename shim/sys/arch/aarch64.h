/* SPDX-License-Identifier: MIT */
/*
 * aarch64.h - see arch.h. There are no stacks yet: no unwinder, and what only a walk needs does
 * nothing.
 */
#ifndef SYS_ARCH_AARCH64_H
#define SYS_ARCH_AARCH64_H

#include <stdint.h>

static inline long sys_call6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

/* DWARF's numbers, and libunwind's; ARCH_IP: where the code goes on. */
enum { ARCH_IP = 32, ARCH_REGISTERS };

static inline void arch_take_registers(uint64_t *regs)
{
	(void)regs;
}

/* The kernel's signal frame returns to two instructions of the vDSO: mov x8, #139; svc #0. */
#define ARCH_SIGNAL_RETURN 0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4

/* Relocations of a call's slot, of an address's, and of a pointer in the object's own data. */
#define ARCH_CALL_SLOT R_AARCH64_JUMP_SLOT
#define ARCH_ADDRESS_SLOT R_AARCH64_GLOB_DAT
#define ARCH_POINTER_SLOT R_AARCH64_ABS64

#define ARCH_VDSO_CLOCK_GETTIME "__kernel_clock_gettime"

/* Debian's folder of the machine's libraries. */
#define ARCH_MULTIARCH "aarch64-linux-gnu"

#endif
