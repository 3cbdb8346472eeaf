/* SPDX-License-Identifier: MIT */
/*
 * lp64.h - what the machines of 64 bits have in common.
 */
#ifndef SYS_ARCH_LP64_H
#define SYS_ARCH_LP64_H

static inline void arch_init(void)
{
}

/* What open needs to be told for a file of any size. */
#define ARCH_LARGE_FILE 0

#define ARCH_RELOCATION ElfW(Rela)
#define ARCH_RELOCATIONS DT_RELA
#define ARCH_RELOCATIONS_SIZE DT_RELASZ
#define ARCH_RELOCATION_TYPE ELF64_R_TYPE
#define ARCH_RELOCATION_SYMBOL ELF64_R_SYM
#define ARCH_HAS_ADDEND(relocation) ((relocation)->r_addend != 0)

#endif
