/* SPDX-License-Identifier: MIT */
/*
 * listen.c - the hook of listen. With TCPSHIM_REUSE=gentle the option is enabled
 * here: too late for this run's bind, in time for the next one's.
 */
#include "hooks/hook.h"
#include "hooks/reuse.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "sys/process.h"

static int listen_logged(__typeof__(listen) *way, int fd, int backlog, const struct policy *policy)
{
	struct event ev;
	int rc, err;

	event_begin(&ev, CALL_listen, fd);
	ev.has_args = true;
	ev.args.backlog = backlog;

	rc = way(fd, backlog);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	policy_note(&ev, policy);
	if (observe_listen(&ev, fd))
		event_emit(&ev);

	return hook_result(rc, err);
}

int listen_by(__typeof__(listen) *way, int fd, int backlog)
{
	struct policy policy = {0};

	if (hook_idle(CALL_listen))
		return way(fd, backlog);
	if (shim.set.reuse == REUSE_GENTLE) {
		policy.pid = shim.events ? process_owner() : 0;
		if (shim.events && !policy.pid)
			return way(fd, backlog); /* a vfork child */
		policy_late(fd, &policy);
		reuse_enable(fd, &policy);
	}
	if (shim_logs(CALL_listen))
		return listen_logged(way, fd, backlog, &policy);
	return way(fd, backlog);
}

HOOK int listen(int fd, int backlog)
{
	return listen_by(libc.listen, fd, backlog);
}
