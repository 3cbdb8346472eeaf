/* SPDX-License-Identifier: MIT */
/*
 * close.c - the hook of close.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/closing.h"
#include "observe/event.h"
#include "sys/own.h"

/* Not open. Was it a TCP socket, and is it closed a second time? */
static int close_again(__typeof__(close) *way, int fd)
{
	struct event ev;
	int rc, err;

	event_begin(&ev, CALL_close, fd);

	rc = way(fd);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (err == EBADF && observe_double_close(&ev))
		event_emit(&ev);

	return hook_result(rc, err);
}

int close_by(__typeof__(close) *way, int fd)
{
	struct closing closing;
	enum closing_kind kind;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_close))
		return way(fd);
	if (own_is(fd))
		return hook_refuse(EBADF);
	kind = observe_closing(&closing, CALL_close, sock_here(fd), 0);
	if (kind == CLOSING_NOT_OPEN)
		return close_again(way, fd);
	if (kind != CLOSING_TCP)
		return way(fd);
	event_begin(&ev, CALL_close, fd);

	rc = way(fd);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_closed(&closing, &ev))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK int close(int fd)
{
	return close_by(libc.close, fd);
}

HOOK_ALIAS(__close, close);
