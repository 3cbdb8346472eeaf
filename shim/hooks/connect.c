/*
 * connect.c - the hook of connect.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/observe.h"

int connect_by(__typeof__(connect) *way, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct event ev;
	uint16_t had_port;
	int rc, err;

	if (hook_idle(CALL_connect))
		return way(fd, addr, len);
	had_port = observe_port(CALL_connect, fd);
	event_begin(&ev, CALL_connect, fd);

	rc = way(fd, addr, len);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_connect(&ev, addr, len, had_port))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect_by(libc.connect, fd, addr, len);
}

HOOK_ALIAS(__connect, connect);
