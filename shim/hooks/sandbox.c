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
#include "observe/observe.h"
#include "sys/process.h"
#include "sys/sys.h"

/*
 * Tell it and step aside, before the filter is there. Returns what reopen needs.
 * A filter that can't even be read is a program's question whether there are
 * filters at all: nothing is told.
 */
static uint32_t step_aside(enum call_id call, bool strict, const void *filter)
{
	struct event ev;
	char first;

	if (!process_owner() || (!strict && sys_peek(&first, filter, 1) < 0))
		return 0;
	event_begin(&ev, call, -1);
	event_end(&ev, 0, 0);
	ev.has_fd = ev.has_ret = false;
	ev.notes = NOTE_BIT(NOTE_SANDBOXED);
	if (shim.events && observe_caller(&ev))
		event_emit(&ev);
	return atomic_exchange(&shim.hooks, 0);
}

/* The filter was refused: go on as before. */
static void come_back(uint32_t hooks)
{
	if (hooks)
		atomic_store(&shim.hooks, hooks);
}

int prctl_by(__typeof__(prctl) *way, int option, const unsigned long *args)
{
	uint32_t hooks;
	int rc, err;

	if (hook_idle(CALL_prctl) || option != PR_SET_SECCOMP)
		return way(option, args[0], args[1], args[2], args[3]);
	hooks = step_aside(CALL_prctl, args[0] == SECCOMP_MODE_STRICT, (const void *)args[1]);

	rc = way(option, args[0], args[1], args[2], args[3]);
	err = hook_error(rc);

	if (err)
		come_back(hooks);

	return hook_result(rc, err);
}

long seccomp_by(unsigned int operation, unsigned int flags, void *filter)
{
	const bool strict = operation == SECCOMP_SET_MODE_STRICT;
	uint32_t hooks;
	long rc;
	int err;

	if (hook_idle(CALL_prctl) || (!strict && operation != SECCOMP_SET_MODE_FILTER))
		return libc.syscall(SYS_seccomp, operation, flags, filter);
	hooks = step_aside(CALL_syscall, strict, filter);

	rc = libc.syscall(SYS_seccomp, operation, flags, filter);
	err = hook_error(rc);

	if (err)
		come_back(hooks);

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
