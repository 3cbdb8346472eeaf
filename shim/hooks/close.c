/*
 * close.c - the hook of close.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/observe.h"
#include "sys/own.h"

int close_by(__typeof__(close) *way, int fd)
{
	struct closing closing;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_close))
		return way(fd);
	if (own_is(fd))
		return hook_refuse(EBADF);
	if (!observe_closing(&closing, CALL_close, fd))
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
