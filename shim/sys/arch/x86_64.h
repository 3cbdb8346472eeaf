/* SPDX-License-Identifier: MIT */
/*
 * x86_64.h - see arch.h.
 */
#ifndef SYS_ARCH_X86_64_H
#define SYS_ARCH_X86_64_H

#include <stdint.h>

static inline long sys_call6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* DWARF's numbers, and libunwind's; ARCH_IP: where the code goes on. */
enum {
	ARCH_RBX = 3,
	ARCH_RBP = 6,
	ARCH_RSP = 7,
	ARCH_R12 = 12,
	ARCH_R13,
	ARCH_R14,
	ARCH_R15,
	ARCH_IP,
	ARCH_REGISTERS
};

/* The registers that a function keeps for its caller, as they are here. */
static inline __attribute__((always_inline)) void arch_take_registers(uint64_t *regs)
{
	__asm__ volatile("mov %%rbx, 24(%0)\n\t"
			 "mov %%rbp, 48(%0)\n\t"
			 "mov %%rsp, 56(%0)\n\t"
			 "mov %%r12, 96(%0)\n\t"
			 "mov %%r13, 104(%0)\n\t"
			 "mov %%r14, 112(%0)\n\t"
			 "mov %%r15, 120(%0)\n\t"
			 "lea 0(%%rip), %%rax\n\t"
			 "mov %%rax, 128(%0)"
			 :
			 : "r"(regs)
			 : "rax", "memory");
}

/* The kernel's signal frame returns to two instructions of libc: mov $15, %rax; syscall. */
#define ARCH_SIGNAL_RETURN 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05

/* The unwinder that stacks are told with; of a machine where there are none it is not defined. */
#define ARCH_LIBUNWIND "libunwind-x86_64.so.8"
#define ARCH_LIBUNWIND_PREFIX "_Ux86_64_"

/* Relocations of a call's slot, of an address's, and of a pointer in the object's own data. */
#define ARCH_CALL_SLOT R_X86_64_JUMP_SLOT
#define ARCH_ADDRESS_SLOT R_X86_64_GLOB_DAT
#define ARCH_POINTER_SLOT R_X86_64_64

#define ARCH_VDSO_CLOCK_GETTIME "__vdso_clock_gettime"

/* Debian's folder of the machine's libraries. */
#define ARCH_MULTIARCH "x86_64-linux-gnu"

/* The machine of the 32-bit programs that the kernel runs as well, and their folder. */
#define ARCH_NARROW "i386"
#define ARCH_MULTIARCH_NARROW "i386-linux-gnu"

#endif
