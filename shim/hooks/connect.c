/* SPDX-License-Identifier: MIT */
/*
 * connect.c - the hook of connect. With TCPSHIM_REUSE=gentle the option is enabled
 * here for a client with a port of its own, as at listen for a server.
 */
#include "hooks/address.h"
#include "hooks/hook.h"
#include "hooks/reuse.h"
#include "log/log.h"
#include "observe/attempt.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "sys/process.h"

static int connect_logged(__typeof__(connect) *way, int fd, const struct sockaddr *addr,
			  socklen_t len, const struct policy *policy)
{
	struct endpoint asked;
	struct event ev;
	struct attempt before;
	uint64_t began;
	int rc, err;

	attempt_before(sock_here(fd), &before);
	began = observe_began(CALL_connect, sock_here(fd));
	event_begin(&ev, CALL_connect, fd);

	rc = way(fd, addr, len);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	policy_note(&ev, policy);
	asked = address_read(addr, len);
	if (observe_connect(&ev, fd, &asked, &before, began))
		event_emit(&ev);

	return hook_result(rc, err);
}

int connect_by(__typeof__(connect) *way, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct policy policy = {0};

	if (hook_idle(CALL_connect))
		return way(fd, addr, len);
	if (shim.set.reuse == REUSE_GENTLE) {
		policy.pid = shim.events ? process_owner() : 0;
		if (shim.events && !policy.pid)
			return way(fd, addr, len); /* a vfork child */
		policy_late(fd, &policy);
		reuse_enable(fd, &policy);
	}
	if (shim_logs(CALL_connect))
		return connect_logged(way, fd, addr, len, &policy);
	return way(fd, addr, len);
}

HOOK int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect_by(libc.connect, fd, addr, len);
}

HOOK_ALIAS(__connect, connect);
