/* SPDX-License-Identifier: MIT */
/*
 * i386.h - see arch.h. There are no stacks yet: no unwinder, and what only a walk needs does
 * nothing.
 */
#ifndef SYS_ARCH_I386_H
#define SYS_ARCH_I386_H

#include <stdint.h>
#include <sys/auxv.h>

/*
 * Six arguments and the number are all registers but the stack's: kernel_entry.S. By the vDSO's
 * way in, once that is known; the interrupt costs a multiple of it, a hundredfold where the
 * machine is a virtual one that traps it.
 */
long sys_call6(long n, long a, long b, long c, long d, long e, long f);
void arch_enter_by(unsigned long vsyscall);

static inline void arch_init(void)
{
	arch_enter_by(getauxval(AT_SYSINFO));
}

/* DWARF's numbers; ARCH_IP: where the code goes on. */
enum { ARCH_IP = 8, ARCH_REGISTERS };

static inline void arch_take_registers(uint64_t *regs)
{
	(void)regs;
}

/* The kernel's signal frame returns to two instructions of the vDSO: mov $173, %eax; int $0x80. */
#define ARCH_SIGNAL_RETURN 0xb8, 0xad, 0, 0, 0, 0xcd, 0x80

/* Relocations of a call's slot, of an address's, and of a pointer in the object's own data. */
#define ARCH_CALL_SLOT R_386_JMP_SLOT
#define ARCH_ADDRESS_SLOT R_386_GLOB_DAT
#define ARCH_POINTER_SLOT R_386_32

/* What open needs to be told for a file of any size: O_LARGEFILE. */
#define ARCH_LARGE_FILE 0100000

/* A pointer's addend stands in its slot. */
#define ARCH_RELOCATION ElfW(Rel)
#define ARCH_RELOCATIONS DT_REL
#define ARCH_RELOCATIONS_SIZE DT_RELSZ
#define ARCH_RELOCATION_TYPE ELF32_R_TYPE
#define ARCH_RELOCATION_SYMBOL ELF32_R_SYM
#define ARCH_HAS_ADDEND(relocation) false

#define ARCH_VDSO_CLOCK_GETTIME "__vdso_clock_gettime64"

/* Debian's folder of the machine's libraries. */
#define ARCH_MULTIARCH "i386-linux-gnu"

#endif
