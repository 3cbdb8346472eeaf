/*
 * close.c - the hook of close.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/observe.h"
#include "sys/own.h"

/*
 * Not a TCP socket. Was it one, and is it closed a second time? Where it is open as
 * something else, what is known of the number is history before the number is free.
 */
static int close_other(__typeof__(close) *way, int fd, enum closing_kind kind)
{
	struct event ev;
	int rc, err;

	if (kind == CLOSING_OTHER)
		observe_other_closed(fd);
	if (kind != CLOSING_NOT_OPEN)
		return way(fd);
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
	kind = observe_closing(&closing, CALL_close, fd);
	if (kind != CLOSING_TCP)
		return close_other(way, fd, kind);
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
