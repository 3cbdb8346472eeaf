/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the hook of socket.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"

int socket_by(__typeof__(socket) *way, int domain, int type, int protocol)
{
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_socket))
		return way(domain, type, protocol);
	event_begin(&ev, CALL_socket, -1);
	ev.has_args = true;
	ev.args.socket.domain = domain;
	ev.args.socket.type = type;
	ev.args.socket.protocol = protocol;

	rc = way(domain, type, protocol);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_socket(&ev, rc, way == libc_own.socket))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK int socket(int domain, int type, int protocol)
{
	return socket_by(libc.socket, domain, type, protocol);
}
