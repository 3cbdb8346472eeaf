/*
 * fstat.c - the hook of fstat, which makes no events. Programs look with it for what
 * they have open, number after number up to their limit; the shim's own descriptors
 * are not among it, wherever they lie.
 */
#include "hooks/hook.h"
#include "sys/own.h"

int fstat_by(__typeof__(fstat) *way, int fd, struct stat *ret)
{
	if (!hook_idle(CALL_fstat) && own_is(fd))
		return hook_refuse(EBADF);
	return way(fd, ret);
}

HOOK int fstat(int fd, struct stat *ret)
{
	return fstat_by(libc.fstat, fd, ret);
}

/* The same function to libc; only the types have two names. */
HOOK int fstat64(int fd, struct stat64 *ret)
{
	return fstat_by(libc.fstat, fd, (struct stat *)ret);
}

HOOK int __fxstat(int version, int fd, struct stat *ret)
{
	if (!hook_idle(CALL_fstat) && own_is(fd))
		return hook_refuse(EBADF);
	return libc.__fxstat(version, fd, ret);
}

HOOK_ALIAS(__fxstat64, __fxstat);
