/* SPDX-License-Identifier: MIT */
/*
 * fstat.c - the hook of fstat, which makes no events. Programs look with it for what
 * they have open, number after number up to their limit; the shim's own descriptors
 * are not among it, wherever they lie.
 */
#include "hooks/hook.h"
#include "sys/own.h"

bool fstat_refused(int fd)
{
	if (hook_idle(CALL_fstat) || !own_is(fd))
		return false;
	errno = EBADF;
	return true;
}

HOOK int fstat(int fd, struct stat *ret)
{
	return fstat_refused(fd) ? -1 : libc.fstat(fd, ret);
}

HOOK int __fxstat(int version, int fd, struct stat *ret)
{
	return fstat_refused(fd) ? -1 : libc.__fxstat(version, fd, ret);
}

#if LIBC_HAS_TWINS
HOOK int fstat64(int fd, struct stat64 *ret)
{
	return fstat_refused(fd) ? -1 : libc.fstat64(fd, ret);
}

HOOK int __fstat64_time64(int fd, struct __stat64_t64 *ret)
{
	return fstat_refused(fd) ? -1 : libc.__fstat64_time64(fd, ret);
}

HOOK int __fxstat64(int version, int fd, struct stat64 *ret)
{
	return fstat_refused(fd) ? -1 : libc.__fxstat64(version, fd, ret);
}
#else
/* The same function to libc; only the types have two names. */
HOOK int fstat64(int fd, struct stat64 *ret)
{
	return fstat(fd, (struct stat *)ret);
}

HOOK int __fxstat64(int version, int fd, struct stat64 *ret)
{
	return __fxstat(version, fd, (struct stat *)ret);
}
#endif
