/* SPDX-License-Identifier: MIT */
/*
 * shutdown.c - the hook of shutdown: half-closes, and what they lead to.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"

int shutdown_by(__typeof__(shutdown) *way, int fd, int how)
{
	struct tcp_facts before;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_shutdown))
		return way(fd, how);
	observe_before(CALL_shutdown, fd, &before);
	event_begin(&ev, CALL_shutdown, fd);
	ev.has_args = true;
	ev.args.how = how;

	rc = way(fd, how);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_shutdown(&ev, fd, &before))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK int shutdown(int fd, int how)
{
	return shutdown_by(libc.shutdown, fd, how);
}
