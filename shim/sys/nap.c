/* SPDX-License-Identifier: MIT */
/*
 * nap.c - see sys_nap in sys.h.
 *
 * A plain sleep ends with -EINTR after any handler, libc's own included: each setuid() of
 * a threaded program and pthread_cancel() send its threads such signals. So the sleep
 * is a wait for all signals that are not blocked: it tells which one came, and not a moment
 * later that signal is sent again as it was, for its handler. A stop, a tracer or an
 * ignored signal end a nap early, and are nobody's handler.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "sys/sys.h"

/* Would a handler of the program's run? Below SIGRTMIN are two signals of libc's own. */
static bool is_for_program(int signal)
{
	enum { LIBC_FIRST = 32, LIBC_LAST = 33 };
	uintptr_t action[8] = {0}; /* the kernel's struct: the handler comes first */

	if (signal >= LIBC_FIRST && signal <= LIBC_LAST)
		return false;
	SYS4(SYS_rt_sigaction, signal, 0, action, sizeof(uint64_t));
	return action[0] != (uintptr_t)SIG_DFL && action[0] != (uintptr_t)SIG_IGN;
}

static int send_to_self(int signal, const siginfo_t *info)
{
	return (int)SYS4(SYS_rt_tgsigqueueinfo, sys_getpid(), sys_gettid(), signal, info);
}

int sys_nap(const struct timespec *time)
{
	siginfo_t info;
	uint64_t blocked, others;
	int signal;
	bool seen;

	memset(&info, 0, sizeof(info));
	/* Nothing is taken that could not be given back. */
	if (sys_sigprocmask(SIG_BLOCK, NULL, &blocked) < 0 || send_to_self(0, &info) < 0)
		return sys_sleep(time);
	others = ~blocked;
	signal = sys_sigtimedwait(&others, &info, time);
	if (signal <= 0)
		return 0;
	seen = is_for_program(signal);
	/* Its handler runs before this returns. Out of room for what came with it: without. */
	if (send_to_self(signal, &info) < 0)
		SYS3(SYS_kill, sys_getpid(), signal, 0);
	return seen ? -EINTR : 0;
}
