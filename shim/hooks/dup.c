/* SPDX-License-Identifier: MIT */
/*
 * dup.c - the hooks of what copies a descriptor: dup, dup2, dup3 and
 * fcntl(F_DUPFD…). The event is about the socket that was copied; where dup2 or
 * dup3 closed another one at its target, that is told beside it.
 */
#include <stdarg.h>

#include "hooks/hook.h"
#include "log/log.h"
#include "observe/closing.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

int dup_by(__typeof__(dup) *way, int fd)
{
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_dup))
		return way(fd);
	if (own_is(fd))
		return hook_refuse(EBADF);
	event_begin(&ev, CALL_dup, fd);

	rc = way(fd);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_dup(&ev, fd, 0))
		event_emit(&ev);

	return hook_result(rc, err);
}

/* dup2 and dup3 differ in their flags only. */
union dup_onto {
	__typeof__(dup2) *dup2;
	__typeof__(dup3) *dup3;
};

static int make_copy(union dup_onto way, enum call_id call, int fd, int newfd, int flags)
{
	return call == CALL_dup2 ? way.dup2(fd, newfd) : way.dup3(fd, newfd, flags);
}

/* closing: the socket that was closed at the target, NULL where there was none. */
static bool report_copy(struct event *ev, uint64_t began, struct closing *closing)
{
	const bool copied = observe_dup(ev, ev->fd, began);

	if (!closing)
		return copied;
	observe_closed_target(closing, ev);
	return copied || event_caller(ev);
}

static int dup_onto(union dup_onto way, enum call_id call, int fd, int newfd, int flags)
{
	struct closing closing;
	struct event ev;
	int rc, err;

	if (hook_idle(call))
		return make_copy(way, call, fd, newfd, flags);
	if (own_is(fd))
		return hook_refuse(EBADF);

	const bool was_ours = own_is(newfd) && process_owner();
	const bool closes = fd != newfd && !was_ours &&
			    observe_closing(&closing, call, sock_here(newfd), 0) == CLOSING_TCP;
	/* What it closes may linger. */
	const uint64_t began = closes ? observe_began(call, sock_here(fd)) : 0;
	const bool moved = was_ours && own_move_away(newfd);

	event_begin(&ev, call, fd);
	ev.pid = closes ? closing.pid : 0;
	ev.has_args = true;
	ev.args.newfd = newfd;

	rc = make_copy(way, call, fd, newfd, flags);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (err && moved)
		sys_close(newfd); /* free, as the program knows it */
	if (err && closes)
		observe_not_closed(&closing);
	if (report_copy(&ev, began, err || !closes ? NULL : &closing))
		event_emit(&ev);

	return hook_result(rc, err);
}

int dup2_by(__typeof__(dup2) *way, int fd, int newfd)
{
	return dup_onto((union dup_onto){.dup2 = way}, CALL_dup2, fd, newfd, 0);
}

int dup3_by(__typeof__(dup3) *way, int fd, int newfd, int flags)
{
	return dup_onto((union dup_onto){.dup3 = way}, CALL_dup3, fd, newfd, flags);
}

int fcntl_by(__typeof__(fcntl) *way, int fd, int command, long arg)
{
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_fcntl))
		return way(fd, command, arg);
	if (own_is(fd))
		return hook_refuse(EBADF);
	if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
		return way(fd, command, arg);
	event_begin(&ev, CALL_fcntl, fd);
	ev.has_args = true;
	ev.args.fcntl.command = command;
	ev.args.fcntl.newfd = (int)arg;

	rc = way(fd, command, arg);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_dup(&ev, fd, 0))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK int dup(int fd)
{
	return dup_by(libc.dup, fd);
}

HOOK int dup2(int fd, int newfd)
{
	return dup2_by(libc.dup2, fd, newfd);
}

HOOK int dup3(int fd, int newfd, int flags)
{
	return dup3_by(libc.dup3, fd, newfd, flags);
}

/* Whatever the third argument is, a pointer or an int, a long carries it. */
HOOK int fcntl(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return fcntl_by(libc.fcntl, fd, command, arg);
}

HOOK_ALIAS(__dup2, dup2);
HOOK_ALIAS(__fcntl, fcntl);
#if LIBC_HAS_TWINS
HOOK int fcntl64(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return fcntl_by(libc.fcntl64, fd, command, arg);
}

HOOK_ALIAS(__fcntl_time64, fcntl64);
#else
HOOK_ALIAS(fcntl64, fcntl);
#endif
