/* SPDX-License-Identifier: MIT */
/*
 * accept.c - the hooks of accept and accept4. The event is about the connection
 * that was made, or where there is none about the listener that the call began with.
 */
#include "hooks/address.h"
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"

/* A connection that was reset already has forgotten its peer: accept itself knew who it was. */
static bool observe_connection(struct event *ev, uint64_t began, bool by_libc,
			       const struct sockaddr *addr, const socklen_t *len)
{
	const int connection = (int)ev->ret;

	if (!observe_accept(ev, ev->fd, connection, began, by_libc))
		return false;
	if (!ev->sock.peer.family) {
		const struct endpoint peer = address_written(addr, len);

		observe_accepted_from(ev, connection, &peer);
	}
	return true;
}

static void report(struct event *ev, uint64_t began, bool by_libc, const struct sockaddr *addr,
		   const socklen_t *len)
{
	if (ev->error ? observe_failed_accept(ev, ev->fd, began)
		      : observe_connection(ev, began, by_libc, addr, len))
		event_emit(ev);
}

int accept_by(__typeof__(accept) *way, int fd, struct sockaddr *addr, socklen_t *len)
{
	struct event ev;
	uint64_t began;
	int rc, err;

	if (hook_idle(CALL_accept))
		return way(fd, addr, len);
	began = observe_began(CALL_accept, sock_here(fd));
	event_begin(&ev, CALL_accept, fd);

	rc = way(fd, addr, len);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	report(&ev, began, way == libc_own.accept, addr, len);

	return hook_result(rc, err);
}

int accept4_by(__typeof__(accept4) *way, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct event ev;
	uint64_t began;
	int rc, err;

	if (hook_idle(CALL_accept4))
		return way(fd, addr, len, flags);
	began = observe_began(CALL_accept4, sock_here(fd));
	event_begin(&ev, CALL_accept4, fd);

	rc = way(fd, addr, len, flags);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	report(&ev, began, way == libc_own.accept4, addr, len);

	return hook_result(rc, err);
}

HOOK int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return accept_by(libc.accept, fd, addr, len);
}

HOOK int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return accept4_by(libc.accept4, fd, addr, len, flags);
}
