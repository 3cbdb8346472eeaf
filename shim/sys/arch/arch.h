/* SPDX-License-Identifier: MIT */
/*
 * arch.h - the machine. What differs from one to another is told in the files of each, under the
 * same names, and nowhere else: for C in the header, for assembly in the .S file (macros that are
 * the bodies of functions).
 */
#ifndef SYS_ARCH_ARCH_H
#define SYS_ARCH_ARCH_H

#if defined(__x86_64__) && defined(__LP64__)
#ifdef __ASSEMBLER__
#include "sys/arch/x86_64.S"
#else
#include "sys/arch/x86_64.h"
#endif

#elif defined(__aarch64__)
#ifdef __ASSEMBLER__
#include "sys/arch/aarch64.S"
#else
#include "sys/arch/aarch64.h"
#endif

#elif defined(__i386__)
#ifdef __ASSEMBLER__
#include "sys/arch/i386.S"
#else
#include "sys/arch/i386.h"
#endif

#elif defined(__riscv) && __riscv_xlen == 64
#ifdef __ASSEMBLER__
#include "sys/arch/riscv64.S"
#else
#include "sys/arch/riscv64.h"
#endif

#else
#error "libreuse knows x86-64, aarch64, i386 and riscv64 only"
#endif

#if !defined(__ASSEMBLER__) && __SIZEOF_LONG__ == 8
#include "sys/arch/lp64.h"
#endif

#endif
