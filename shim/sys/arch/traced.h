/* SPDX-License-Identifier: MIT */
/*
 * traced.h - what differs from machine to machine in a thread that is stopped (man 2 ptrace), for
 * who follows it from outside; the library does not. ARCH_TRACES: is this machine known here?
 *
 * A call is made again by going back to its instruction, with the number or the first argument back
 * in the register that the answer is in. A handler's frame begins with where it returns to (x86),
 * or with what the signal was.
 */
#ifndef SYS_ARCH_TRACED_H
#define SYS_ARCH_TRACED_H

#include <elf.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

#if defined(__x86_64__) && defined(__LP64__)

enum { ARCH_TRACES = 1, ARCH_CALL_LENGTH = 2 };
#define ARCH_AUDIT AUDIT_ARCH_X86_64
#define ARCH_OTHER_CALLS 0x40000000u /* x32's: the least of them */
#define ARCH_SAVED_PLACE (8 + offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]))
typedef struct user_regs_struct arch_registers;

static inline void arch_set_answer(arch_registers *regs, uint64_t answer)
{
	regs->rax = answer;
}

static inline void arch_go_back(arch_registers *regs, unsigned int bytes)
{
	regs->rip -= bytes;
}

/* Of a call that is to be made again. */
static inline uint64_t arch_repeated(int64_t number, uint64_t first)
{
	(void)first;
	return (uint64_t)number;
}

/* The call is left out: it has no number. */
static inline bool arch_leave_out(pid_t tid, arch_registers *regs)
{
	(void)tid;
	regs->orig_rax = (unsigned long long)-1;
	return true;
}

#elif defined(__aarch64__)

enum { ARCH_TRACES = 1, ARCH_CALL_LENGTH = 4 };
#define ARCH_AUDIT AUDIT_ARCH_AARCH64
#define ARCH_OTHER_CALLS UINT32_MAX /* none */
#define ARCH_SAVED_PLACE (sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext.pc))
typedef struct user_regs_struct arch_registers;

static inline void arch_set_answer(arch_registers *regs, uint64_t answer)
{
	regs->regs[0] = answer;
}

static inline void arch_go_back(arch_registers *regs, unsigned int bytes)
{
	regs->pc -= bytes;
}

static inline uint64_t arch_repeated(int64_t number, uint64_t first)
{
	(void)number;
	return first;
}

/* The number of the call is none of the registers. */
static inline bool arch_leave_out(pid_t tid, arch_registers *regs)
{
	int none = -1;
	struct iovec number = {.iov_base = &none, .iov_len = sizeof(none)};

	(void)regs;
	return ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &number) == 0;
}

#else

enum { ARCH_TRACES = 0, ARCH_CALL_LENGTH = 0, ARCH_SAVED_PLACE = 0 };
#define ARCH_AUDIT 0
#define ARCH_OTHER_CALLS UINT32_MAX
typedef struct {
	uint64_t none;
} arch_registers;

static inline void arch_set_answer(arch_registers *regs, uint64_t answer)
{
	regs->none = answer;
}

static inline void arch_go_back(arch_registers *regs, unsigned int bytes)
{
	regs->none -= bytes;
}

static inline uint64_t arch_repeated(int64_t number, uint64_t first)
{
	return (uint64_t)number + first;
}

static inline bool arch_leave_out(pid_t tid, arch_registers *regs)
{
	(void)tid;
	(void)regs;
	return false;
}

#endif
#endif
