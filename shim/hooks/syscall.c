/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - the hook of libc's syscall(): the calls that a program makes by
 * number (Node.js closes so) are those calls all the same. Six longs pass
 * through, however many the program gave, as libc's own function takes them.
 */
#include <linux/net.h>
#include <stdarg.h>

#include "hooks/hook.h"
#include "hooks/vfork.h"
#include "sys/sys.h"

/* Each of them has a struct of its own. Apart, so that it is not on the stack of all others. */
static __attribute__((noinline)) long fstat_by_number(int fd, long number, long a)
{
	return fstat_refused(fd) ? -1 : libc.syscall(number, fd, a);
}

/* Apart, so that the array is not on the stack of all others. */
static __attribute__((noinline)) int prctl_by_number(long option, long b, long c, long d, long e)
{
	const unsigned long rest[] = {(unsigned long)b, (unsigned long)c, (unsigned long)d,
				      (unsigned long)e};

	return prctl_by(by_syscall.prctl, (int)option, rest);
}

#ifdef SYS_socketcall
/* One number for all, and the arguments in memory: of the calls of linux/net.h, the number. */
static long number_of(long call, unsigned int *ret_arguments)
{
	static const struct {
		uint16_t number;
		uint8_t arguments;
	} calls[] = {
		[SYS_SOCKET] = {SYS_socket, 3},		[SYS_BIND] = {SYS_bind, 3},
		[SYS_CONNECT] = {SYS_connect, 3},	[SYS_LISTEN] = {SYS_listen, 2},
		[SYS_ACCEPT] = {SYS_accept4, 3},	[SYS_SHUTDOWN] = {SYS_shutdown, 2},
		[SYS_SETSOCKOPT] = {SYS_setsockopt, 5}, [SYS_GETSOCKOPT] = {SYS_getsockopt, 5},
		[SYS_ACCEPT4] = {SYS_accept4, 4},
	};

	if (call < 0 || call >= (long)(sizeof(calls) / sizeof(calls[0])))
		return 0;
	*ret_arguments = calls[call].arguments;
	return calls[call].number;
}

static bool call_by_number(long number, const long *a, long *ret);

/* False where it is none of the intercepted calls, or where its arguments can't be read. */
static __attribute__((noinline)) bool socketcall(long call, const void *arguments, long *ret)
{
	unsigned int count;
	long a[6] = {0};
	const long number = number_of(call, &count);

	if (!number || sys_peek(a, arguments, count * sizeof(long)) < 0)
		return false;
	if (call == SYS_ACCEPT) {
		*ret = accept_by(by_syscall.accept, (int)a[0], (struct sockaddr *)a[1],
				 (socklen_t *)a[2]);
		return true;
	}
	return call_by_number(number, a, ret);
}
#endif

/* What brings another process into this memory. (clone3's flags are in memory.) */
static void lend_by_number(long number, long flags)
{
	switch (number) {
	case SYS_clone:
		clone_with((unsigned long)flags);
		return;
#ifdef SYS_vfork
	case SYS_vfork:
#endif
	case SYS_clone3:
		process_lend();
	}
}

/* The intercepted calls by number. False where it is none of them. */
static bool call_by_number(long number, const long *a, long *ret)
{
	const struct libc_calls *by = &by_syscall;

	switch (number) {
	case SYS_socket:
		*ret = socket_by(by->socket, (int)a[0], (int)a[1], (int)a[2]);
		return true;
	case SYS_bind:
		*ret = bind_by(by->bind, (int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
		return true;
	case SYS_listen:
		*ret = listen_by(by->listen, (int)a[0], (int)a[1]);
		return true;
	case SYS_connect:
		*ret = connect_by(by->connect, (int)a[0], (const struct sockaddr *)a[1],
				  (socklen_t)a[2]);
		return true;
#ifdef SYS_accept
	case SYS_accept:
		*ret = accept_by(by->accept, (int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
		return true;
#endif
	case SYS_accept4:
		*ret = accept4_by(by->accept4, (int)a[0], (struct sockaddr *)a[1],
				  (socklen_t *)a[2], (int)a[3]);
		return true;
	case SYS_setsockopt:
		*ret = setsockopt_by(by->setsockopt, (int)a[0], (int)a[1], (int)a[2],
				     (const void *)a[3], (socklen_t)a[4]);
		return true;
	case SYS_getsockopt:
		*ret = getsockopt_by(by->getsockopt, (int)a[0], (int)a[1], (int)a[2], (void *)a[3],
				     (socklen_t *)a[4]);
		return true;
	case SYS_shutdown:
		*ret = shutdown_by(by->shutdown, (int)a[0], (int)a[1]);
		return true;
	case SYS_close:
		*ret = close_by(by->close, (int)a[0]);
		return true;
	case SYS_dup:
		*ret = dup_by(by->dup, (int)a[0]);
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*ret = dup2_by(by->dup2, (int)a[0], (int)a[1]);
		return true;
#endif
	case SYS_dup3:
		*ret = dup3_by(by->dup3, (int)a[0], (int)a[1], (int)a[2]);
		return true;
	case SYS_fcntl:
#ifdef SYS_fcntl64
	case SYS_fcntl64:
#endif
		*ret = fcntl_by(by->fcntl, (int)a[0], (int)a[1], a[2]);
		return true;
	case SYS_close_range:
		*ret = close_range_by(by->close_range, (unsigned int)a[0], (unsigned int)a[1],
				      (int)a[2]);
		return true;
	case SYS_fstat:
#ifdef SYS_fstat64
	case SYS_fstat64:
#endif
		*ret = fstat_by_number((int)a[0], number, a[1]);
		return true;
#ifdef SYS_socketcall
	case SYS_socketcall:
		return socketcall(a[0], (const void *)a[1], ret);
#endif
	case SYS_prctl:
		*ret = prctl_by_number(a[0], a[1], a[2], a[3], a[4]);
		return true;
	case SYS_seccomp:
		*ret = seccomp_by((unsigned int)a[0], (unsigned int)a[1], (void *)a[2]);
		return true;
	}
	lend_by_number(number, a[0]);
	return false;
}

HOOK long syscall(long number, ...)
{
	va_list args;
	long a[6], ret;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);

	/* With nothing to do for any hook, not even a cast comes between. */
	if (!shim.hooks_at_load)
		lend_by_number(number, a[0]);
	else if (call_by_number(number, a, &ret))
		return ret;
	return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
