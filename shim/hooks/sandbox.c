/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - the hooks that see a program lock itself in: prctl(PR_SET_SECCOMP)
 * and seccomp, which libc offers through syscall() alone.
 *
 * Such a filter may end the process at a system call that the program itself would
 * not make, so from then on the shim makes none: every hook passes through. A
 * filter from before the program started was made for others, and is no reason.
 */
#include <linux/seccomp.h>
#include <stdarg.h>

#include "hooks/hook.h"
#include "log/log.h"
#include "observe/event.h"
#include "sys/process.h"
#include "sys/sys.h"

/* Set for good by the first filter that was really installed. */
static _Atomic(bool) sandboxed;

/*
 * Tell it and step aside, before the filter is there: whatever any thread calls
 * from here on passes through. False where there is nothing to step aside from.
 * A filter that can't even be read is a program's question whether there are
 * filters at all: nothing is told.
 */
static bool step_aside(enum call_id call, bool strict, const void *filter)
{
	struct event ev;
	char first;

	if (atomic_load(&sandboxed) || !process_owner() ||
	    (!strict && sys_peek(&first, filter, 1) < 0))
		return false;
	event_begin(&ev, call, -1);
	event_end(&ev, 0, 0);
	ev.has_fd = ev.has_ret = false;
	ev.notes = NOTE_BIT(NOTE_SANDBOXED);
	if (shim.events && event_caller(&ev))
		event_emit(&ev);
	atomic_store(&shim.hooks, 0);
	return true;
}

/* Stay aside where the filter is installed; else go on as before, unless another's is. */
static void decide(bool aside, int err)
{
	if (aside && !err)
		atomic_store(&sandboxed, true);
	if (aside && !atomic_load(&sandboxed))
		atomic_store(&shim.hooks, shim.hooks_at_load);
	if (atomic_load(&sandboxed))
		atomic_store(&shim.hooks, 0);
}

int prctl_by(__typeof__(prctl) *way, int option, const unsigned long *args)
{
	bool aside;
	int rc, err;

	if (!shim.hooks_at_load || option != PR_SET_SECCOMP)
		return way(option, args[0], args[1], args[2], args[3]);
	aside = step_aside(CALL_prctl, args[0] == SECCOMP_MODE_STRICT, (const void *)args[1]);

	rc = way(option, args[0], args[1], args[2], args[3]);
	err = hook_error(rc);

	decide(aside, err);

	return hook_result(rc, err);
}

long seccomp_by(unsigned int operation, unsigned int flags, void *filter)
{
	const bool strict = operation == SECCOMP_SET_MODE_STRICT;
	bool aside;
	long rc;
	int err;

	if (!shim.hooks_at_load || (!strict && operation != SECCOMP_SET_MODE_FILTER))
		return libc.syscall(SYS_seccomp, operation, flags, filter);
	aside = step_aside(CALL_seccomp, strict, filter);

	rc = libc.syscall(SYS_seccomp, operation, flags, filter);
	err = hook_error(rc);

	decide(aside, err);

	return hook_result_long(rc, err);
}

HOOK int prctl(int option, ...)
{
	va_list args;
	unsigned long a[4];

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	return prctl_by(libc.prctl, option, a);
}

#if LIBC_HAS_TWINS
HOOK_ALIAS(__prctl_time64, prctl); /* to programs with times of 64 bits; the same to libc */
#endif
