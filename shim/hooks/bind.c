/* SPDX-License-Identifier: MIT */
/*
 * bind.c - the hook of bind: where SO_REUSEADDR is enabled.
 */

#include "hooks/address.h"
#include "hooks/hook.h"
#include "hooks/reuse.h"
#include "hooks/wait.h"
#include "log/log.h"
#include "observe/bound.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "sys/clock.h"
#include "sys/process.h"

/*
 * Would another socket of the program's own refuse this bind? Then it is left as the program has
 * made it, and fails as the program may expect.
 */
static __attribute__((noinline)) bool is_refused(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct endpoint asked = address_read(addr, len);

	return asked.family && bound_refuses(sock_here(fd), &asked);
}

/* What to enable for a bind to that address. */
static inline void policy_of(int fd, const struct sockaddr *addr, socklen_t len, struct policy *ret)
{
	struct address_head head;

	if (!address_head(addr, len, &head))
		return;
	policy_bind(sock_here(fd), head.family, head.port, ret);
	if (ret->crowded && ret->enable && is_refused(fd, addr, len))
		ret->enable = 0;
}

/* gentle, after a bind that worked as the program asked. */
static void remember_bound(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct address_head head;

	if (address_head(addr, len, &head))
		policy_bound(fd, head.family, head.port);
}

/* Before the bind, unless gentle waits for a reason. */
static void before_bind(int fd, const struct sockaddr *addr, socklen_t len, struct policy *ret)
{
	if (shim.set.reuse != REUSE_GENTLE && policy_acts()) {
		policy_of(fd, addr, len, ret);
		reuse_enable(fd, ret);
	}
}

/*
 * gentle, after a first EADDRINUSE: try again with the option. Where that fails
 * as well, the option is taken back and the first answer stands.
 */
static __attribute__((noinline)) bool bind_again(__typeof__(bind) *way, int fd,
						 const struct sockaddr *addr, socklen_t len,
						 struct policy *ret)
{
	if (!policy_acts())
		return false;
	policy_of(fd, addr, len, ret);
	reuse_enable(fd, ret);
	if (!ret->enable)
		return false;
	if (way(fd, addr, len) == 0)
		return true;
	reuse_take_back(fd, ret);
	return false;
}

/* The real call, tried again where the user asked for that. Returns errno, 0 where it worked. */
static int bind_really(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len,
		       struct policy *policy, struct waited *waited)
{
	const int errno_before = errno;
	int err = hook_error(way(fd, addr, len));

	if (err == EADDRINUSE && shim.set.reuse == REUSE_GENTLE &&
	    bind_again(way, fd, addr, len, policy))
		err = 0;
	if (err == EADDRINUSE && shim.set.wait_seconds &&
	    wait_for_dying(way, fd, addr, len, waited))
		err = 0;
	if (!err && shim.set.reuse == REUSE_GENTLE)
		remember_bound(fd, addr, len);
	if (!err)
		errno = errno_before; /* a bind that works leaves it alone */
	return err;
}

/* The event is made here, so that it is not on the stack while bind_again logs its own. */
static void report(int fd, const struct sockaddr *addr, socklen_t len, int err, uint64_t began_ns,
		   const struct policy *policy, const struct waited *waited)
{
	const struct endpoint asked = err ? address_read(addr, len) : (struct endpoint){0};
	struct event ev;

	event_begin(&ev, CALL_bind, fd);
	ev.began_ns = began_ns;
	event_end(&ev, err ? -1 : 0, err);
	policy_note(&ev, policy);
	wait_note(&ev, waited);
	if (!waited->began)
		ev.sock.cookie = policy->cookie;
	if (observe_bind(&ev, fd, &asked, waited->began))
		event_emit(&ev);
}

/* A bind of which there may be something to tell, or that may be tried again. */
static __attribute__((noinline)) int bind_watched(__typeof__(bind) *way, int fd,
						  const struct sockaddr *addr, socklen_t len)
{
	const bool logs = shim_logs(CALL_bind);
	struct waited waited = {0};
	struct policy policy = {.pid = shim.events ? process_owner() : 0};
	uint64_t began_ns = 0;
	int err;

	if (shim.events && !policy.pid)
		return way(fd, addr, len);
	before_bind(fd, addr, len, &policy);
	if (logs)
		began_ns = clock_ns(CLOCK_MONOTONIC);

	err = bind_really(way, fd, addr, len, &policy, &waited);

	if (logs)
		report(fd, addr, len, err, began_ns, &policy, &waited);

	return hook_result(err ? -1 : 0, err);
}

/* Nothing to tell: only the option, where the bind is one that it is for. */
static __attribute__((noinline)) int bind_quietly(__typeof__(bind) *way, int fd,
						  const struct sockaddr *addr, socklen_t len)
{
	struct policy policy = {0};

	policy_of(fd, addr, len, &policy);
	if (policy.enable)
		reuse_enable(fd, &policy);

	return way(fd, addr, len);
}

int bind_by(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len)
{
	if (hook_idle(CALL_bind))
		return way(fd, addr, len);
	if (shim.events || shim.set.reuse == REUSE_GENTLE || shim.set.wait_seconds)
		return bind_watched(way, fd, addr, len);
	return bind_quietly(way, fd, addr, len);
}

HOOK int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind_by(libc.bind, fd, addr, len);
}
