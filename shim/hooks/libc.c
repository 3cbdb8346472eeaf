/* SPDX-License-Identifier: MIT */
/*
 * libc.c - see libc.h.
 */
#include "hooks/libc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#include "hooks/hook.h"
#include "sys/sys.h"

/* What libc's syscall does, before we know where that is. */
static long kernel_syscall(long number, ...)
{
	va_list args;
	long a[6], rc;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	rc = sys_call6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return hook_result_long(rc < 0 ? -1 : rc, rc < 0 ? (int)-rc : 0);
}

static int kernel_socket(int domain, int type, int protocol)
{
	return (int)libc.syscall(SYS_socket, domain, type, protocol);
}

static int kernel_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)libc.syscall(SYS_bind, fd, addr, len);
}

static int kernel_listen(int fd, int backlog)
{
	return (int)libc.syscall(SYS_listen, fd, backlog);
}

static int kernel_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)libc.syscall(SYS_connect, fd, addr, len);
}

static int kernel_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
#ifdef SYS_accept
	return (int)libc.syscall(SYS_accept, fd, addr, len);
#else
	return (int)libc.syscall(SYS_accept4, fd, addr, len, 0);
#endif
}

static int kernel_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return (int)libc.syscall(SYS_accept4, fd, addr, len, flags);
}

static int kernel_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return (int)libc.syscall(SYS_setsockopt, fd, level, option, value, len);
}

static int kernel_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return (int)libc.syscall(SYS_getsockopt, fd, level, option, value, len);
}

static int kernel_shutdown(int fd, int how)
{
	return (int)libc.syscall(SYS_shutdown, fd, how);
}

static int kernel_close(int fd)
{
	return (int)libc.syscall(SYS_close, fd);
}

static int kernel_dup(int fd)
{
	return (int)libc.syscall(SYS_dup, fd);
}

static int kernel_dup2(int fd, int newfd)
{
#ifdef SYS_dup2
	return (int)libc.syscall(SYS_dup2, fd, newfd);
#else
	if (fd == newfd)
		return libc.syscall(SYS_fcntl, fd, F_GETFD) < 0 ? -1 : fd;
	return (int)libc.syscall(SYS_dup3, fd, newfd, 0);
#endif
}

static int kernel_dup3(int fd, int newfd, int flags)
{
	return (int)libc.syscall(SYS_dup3, fd, newfd, flags);
}

static int kernel_fcntl(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return (int)libc.syscall(SYS_FCNTL, fd, command, arg);
}

/* The one call that is no system call: look it up at once. */
static int kernel_fclose(FILE *file)
{
	if (libc.fclose == by_syscall.fclose)
		libc_resolve();
	return libc.fclose(file);
}

static int kernel_close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)libc.syscall(SYS_close_range, first, last, flags);
}

static void kernel_closefrom(int first)
{
	libc.syscall(SYS_close_range, first < 0 ? 0 : first, ~0u, 0);
}

static int kernel_prctl(int option, ...)
{
	va_list args;
	unsigned long a[4];

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	return (int)libc.syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

#if LIBC_HAS_TWINS
static int kernel_fcntl64(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return (int)libc.syscall(SYS_fcntl64, fd, command, arg);
}

/* The kernel's structs are not those of these functions: look them up at once. */
#define LOOKED_UP_AT_ONCE(name, parameters, arguments)                                             \
	static int kernel_##name parameters                                                        \
	{                                                                                          \
		if (libc.name == by_syscall.name)                                                  \
			libc_resolve();                                                            \
		if (libc.name == by_syscall.name)                                                  \
			return hook_refuse(ENOSYS); /* a libc that has none */                     \
		return libc.name arguments;                                                        \
	}
LOOKED_UP_AT_ONCE(fstat, (int fd, struct stat *ret), (fd, ret))
LOOKED_UP_AT_ONCE(fstat64, (int fd, struct stat64 *ret), (fd, ret))
LOOKED_UP_AT_ONCE(__fstat64_time64, (int fd, struct __stat64_t64 *ret), (fd, ret))
LOOKED_UP_AT_ONCE(__fxstat, (int version, int fd, struct stat *ret), (version, fd, ret))
LOOKED_UP_AT_ONCE(__fxstat64, (int version, int fd, struct stat64 *ret), (version, fd, ret))
#else
static int kernel_fstat(int fd, struct stat *ret)
{
	return (int)libc.syscall(SYS_fstat, fd, ret);
}

static int kernel___fxstat(int version, int fd, struct stat *ret)
{
	(void)version; /* all are the kernel's own struct */
	return (int)libc.syscall(SYS_fstat, fd, ret);
}
#endif

/* No system call either; and dlopen_way has looked it up before it is called. */
static void *kernel_dlopen(const char *file, int flags)
{
	if (libc.dlopen == by_syscall.dlopen)
		libc_resolve();
	return libc.dlopen(file, flags);
}

/* These return twice, which C can't; and vfork.c has looked them up before they are called. */
static pid_t kernel_vfork(void)
{
	return hook_refuse(ENOSYS);
}

static int kernel_clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	(void)run;
	(void)stack;
	(void)flags;
	(void)arg;
	return hook_refuse(ENOSYS);
}

/* A call without its kernel_ function above does not compile. */
struct libc_calls libc = {
#define CALL(name, args, more) .name = kernel_##name,
#define CARRIER(name) .name = kernel_##name,
#if LIBC_HAS_TWINS
#define TWIN(name, call) .name = kernel_##name,
#endif
#include "reuse/calls.def"
};

const struct libc_calls by_syscall = {
#define CALL(name, args, more) .name = kernel_##name,
#define CARRIER(name) .name = kernel_##name,
#if LIBC_HAS_TWINS
#define TWIN(name, call) .name = kernel_##name,
#endif
#include "reuse/calls.def"
};

__typeof__(fileno) *libc_fileno;

struct libc_own libc_own;

/* dlsym gives a data pointer for a function; POSIX promises that they convert. */
static void look_up(const char *name, void *slot)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (next)
		*(void **)slot = next; /* an older libc lacks the newer calls: by system call */
}

void libc_resolve(void)
{
#define CALL(name, args, more) look_up(#name, &libc.name);
#define CARRIER(name) look_up(#name, &libc.name);
#if LIBC_HAS_TWINS
#define TWIN(name, call) look_up(#name, &libc.name);
#endif
#include "reuse/calls.def"
}
