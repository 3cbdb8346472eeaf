/* SPDX-License-Identifier: MIT */
/*
 * tracee.c - see tracee.h. What differs between machines is in sys/arch/traced.h.
 */
#include "supervise/tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "sys/arch/traced.h"

const bool tracee_is_known = ARCH_TRACES;

typedef struct __ptrace_syscall_info info;

static bool ask(pid_t tid, info *ret)
{
	memset(ret, 0, sizeof(*ret));
	return ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(*ret), ret) > 0;
}

bool tracee_enters(pid_t tid, struct tracee_call *ret)
{
	info told;

	if (!ask(tid, &told) || told.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	ret->number = (int64_t)told.seccomp.nr;
	for (int i = 0; i < 6; i++)
		ret->args[i] = told.seccomp.args[i];
	ret->ip = told.instruction_pointer;
	ret->sp = told.stack_pointer;
	return true;
}

bool tracee_leaves(pid_t tid, int64_t *ret)
{
	info told;

	if (!ask(tid, &told) || told.op != PTRACE_SYSCALL_INFO_EXIT)
		return false;
	*ret = told.exit.rval;
	return true;
}

bool tracee_is_same(const struct tracee_call *one, const struct tracee_call *other)
{
	return one->number == other->number && one->ip == other->ip && one->sp == other->sp &&
	       memcmp(one->args, other->args, sizeof(one->args)) == 0;
}

static bool change(pid_t tid, uint64_t answer, unsigned int back, bool left_out)
{
	arch_registers regs;
	struct iovec all = {.iov_base = &regs, .iov_len = sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &all) < 0)
		return false;
	if (left_out && !arch_leave_out(tid, &regs))
		return false;
	arch_set_answer(&regs, answer);
	arch_go_back(&regs, back);
	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &all) == 0;
}

bool tracee_refuse(pid_t tid, int64_t answer)
{
	return change(tid, (uint64_t)answer, 0, true);
}

bool tracee_answer(pid_t tid, int64_t answer)
{
	return change(tid, (uint64_t)answer, 0, false);
}

bool tracee_call_again(pid_t tid, const struct tracee_call *call)
{
	return change(tid, arch_repeated(call->number, call->args[0]), ARCH_CALL_LENGTH, false);
}

bool tracee_returns_to(pid_t tid, uint64_t *ret_ip)
{
	info told;

	return ask(tid, &told) && tracee_read(tid, ret_ip, told.stack_pointer + ARCH_SAVED_PLACE,
					      sizeof(*ret_ip)) == 0;
}

void tracee_go(pid_t tid, enum tracee_way way, int signal)
{
	const long data = signal;

	switch (way) {
	case TRACEE_ON:
		ptrace(PTRACE_CONT, tid, NULL, data);
		return;
	case TRACEE_TO_ITS_END:
		ptrace(PTRACE_SYSCALL, tid, NULL, data);
		return;
	case TRACEE_A_STEP:
		ptrace(PTRACE_SINGLESTEP, tid, NULL, data);
		return;
	}
}

pid_t tracee_message(pid_t tid)
{
	unsigned long message = 0;

	return ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message) < 0 ? 0 : (pid_t)message;
}

/* The kernel's own word has the signal as its code; a step without a handler a code of its own. */
bool tracee_has_stepped(pid_t tid)
{
	siginfo_t told;

	return ptrace(PTRACE_GETSIGINFO, tid, NULL, &told) == 0 && told.si_signo == SIGTRAP &&
	       (told.si_code == SIGTRAP || told.si_code == TRAP_TRACE);
}

int tracee_read(pid_t pid, void *ret, uint64_t from, size_t len)
{
	const struct iovec here = {.iov_base = ret, .iov_len = len};
	const struct iovec there = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}
