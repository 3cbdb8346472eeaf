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

#else
#error "libreuse knows 64-bit x86-64 and aarch64 only"
#endif

#endif
