/*
 * syscall.c - the hook of libc's syscall(): the calls that a program makes by
 * number (Node.js closes so) are those calls all the same. Six longs pass
 * through, however many the program gave, as libc's own function takes them.
 */
#include <stdarg.h>

#include "hooks/hook.h"
#include "sys/sys.h"

/* Apart, so that the array is not on the stack of all others. */
static __attribute__((noinline)) int prctl_by_number(long option, long b, long c, long d, long e)
{
	const unsigned long rest[] = {(unsigned long)b, (unsigned long)c, (unsigned long)d,
				      (unsigned long)e};

	return prctl_by(by_syscall.prctl, (int)option, rest);
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
	case SYS_accept:
		*ret = accept_by(by->accept, (int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
		return true;
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
		*ret = fcntl_by(by->fcntl, (int)a[0], (int)a[1], a[2]);
		return true;
	case SYS_close_range:
		*ret = close_range_by(by->close_range, (unsigned int)a[0], (unsigned int)a[1],
				      (int)a[2]);
		return true;
	case SYS_fstat:
		*ret = fstat_by(by->fstat, (int)a[0], (struct stat *)a[1]);
		return true;
	case SYS_prctl:
		*ret = prctl_by_number(a[0], a[1], a[2], a[3], a[4]);
		return true;
	case SYS_seccomp:
		*ret = seccomp_by((unsigned int)a[0], (unsigned int)a[1], (void *)a[2]);
		return true;
	}
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
	if (!shim.hooks_at_load || !call_by_number(number, a, &ret))
		return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return ret;
}
