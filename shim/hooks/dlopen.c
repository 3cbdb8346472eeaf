/* SPDX-License-Identifier: MIT */
/*
 * dlopen.c - the hook of dlopen: a module that is loaded with RTLD_DEEPBIND looks
 * for its names in its own libraries first, libc among them, and would go past us
 * (PHP loads its extensions so).
 *
 * Who calls dlopen decides where libc looks for the file. So dlopen_entry.S jumps
 * to what dlopen_way names: to libc's own, or, where the caller decides nothing,
 * to a function here that loads the module and binds it to us.
 */
#include <dlfcn.h>
#include <string.h>

#include "hooks/hook.h"
#include "hooks/rebind.h"

/* Before or after the call of libc, the program may have entered a sandbox: then nothing is done.
 */
static void *load_deep(const char *file, int flags)
{
	const unsigned int before = rebind_loaded();
	void *handle = libc.dlopen(file, flags);
	const int err = errno;

	if (handle && !hook_idle(CALL_dlopen))
		rebind(handle, before);
	errno = err;
	return handle;
}

/* A name with a slash is a path, unless $ORIGIN is in it: that is the caller's folder. */
static bool caller_decides(const char *file)
{
	return !file || !strchr(file, '/') || strchr(file, '$');
}

__typeof__(dlopen) *dlopen_way(const char *file, int flags)
{
	if (libc.dlopen == by_syscall.dlopen)
		libc_resolve(); /* before boot; and there is no system call for it */
	if (hook_idle(CALL_dlopen) || !(flags & RTLD_DEEPBIND) || caller_decides(file))
		return libc.dlopen;
	return load_deep;
}
