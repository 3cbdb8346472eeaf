/* SPDX-License-Identifier: MIT */
/*
 * sockopt.c - the hooks of setsockopt, and of getsockopt where it reads SO_ERROR:
 * that is how a program learns the end of a non-blocking connect.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "hooks/hook.h"
#include "log/log.h"
#include "observe/attempt.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "observe/policy.h"
#include "sys/sys.h"

/*
 * Options whose int the kernel reads on every TCP socket, or the call fails. Not all are
 * such: names are read up to their end, and an MPTCP socket takes some options without
 * looking at the value (mptcp_setsockopt_sol_socket in net/mptcp/sockopt.c).
 */
static bool reads_int(int level, int option)
{
	if (level == SOL_SOCKET)
		return option == SO_REUSEADDR || option == SO_REUSEPORT || option == SO_KEEPALIVE ||
		       option == SO_SNDBUF || option == SO_RCVBUF;
	return level == IPPROTO_TCP &&
	       (option == TCP_NODELAY || option == TCP_CORK || option == TCP_KEEPIDLE ||
		option == TCP_KEEPINTVL || option == TCP_KEEPCNT || option == TCP_USER_TIMEOUT);
}

/* Has the kernel read all four bytes there? Then we can without asking. */
static bool kernel_took_int(const struct event *ev, int level, int option, socklen_t len)
{
	return !ev->error && len == sizeof(int) && reads_int(level, option);
}

static void option_args(struct event *ev, int level, int option, const void *value, socklen_t len)
{
	struct option_value *copy = &ev->more.value;
	const size_t take = len < sizeof(copy->bytes) ? len : sizeof(copy->bytes);

	ev->has_args = true;
	ev->args.sockopt.level = level;
	ev->args.sockopt.option = option;
	copy->len = len;
	if (kernel_took_int(ev, level, option, len)) {
		memcpy(copy->bytes, value, sizeof(int));
		copy->readable = true;
		return;
	}
	copy->readable = value && (int)len >= 0 && sys_peek(copy->bytes, value, take) == 0;
}

static bool is_reuse(int level, int option)
{
	return level == SOL_SOCKET && (option == SO_REUSEADDR || option == SO_REUSEPORT);
}

/* The kernel has read an int of this option, so we can. */
static bool turned_on(const void *value)
{
	int on;

	memcpy(&on, value, sizeof(on));
	return on != 0;
}

int setsockopt_by(__typeof__(setsockopt) *way, int fd, int level, int option, const void *value,
		  socklen_t len)
{
	struct event ev;
	int rc, err;
	bool on;

	if (hook_idle(CALL_setsockopt) || (!shim_logs(CALL_setsockopt) && !is_reuse(level, option)))
		return way(fd, level, option, value, len);
	event_begin(&ev, CALL_setsockopt, fd);

	rc = way(fd, level, option, value, len);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	on = !err && is_reuse(level, option) && turned_on(value);
	if (!err && is_reuse(level, option))
		policy_option_set(fd, option, on);
	if (observe_setsockopt(&ev, fd, on && option == SO_REUSEADDR)) {
		option_args(&ev, level, option, value, len);
		event_emit(&ev);
	}

	return hook_result(rc, err);
}

int getsockopt_by(__typeof__(getsockopt) *way, int fd, int level, int option, void *value,
		  socklen_t *len)
{
	struct event ev;
	socklen_t given;
	int rc, err;

	if (hook_idle(CALL_getsockopt) || level != SOL_SOCKET || option != SO_ERROR)
		return way(fd, level, option, value, len);
	event_begin(&ev, CALL_getsockopt, fd);

	rc = way(fd, level, option, value, len);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_call(&ev, fd)) {
		const bool has_value = !err && sys_peek(&given, len, sizeof(given)) == 0;

		option_args(&ev, level, option, has_value ? value : NULL, has_value ? given : 0);
		attempt_of_error(&ev, fd);
		event_emit(&ev);
	}

	return hook_result(rc, err);
}

HOOK int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return setsockopt_by(libc.setsockopt, fd, level, option, value, len);
}

HOOK int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return getsockopt_by(libc.getsockopt, fd, level, option, value, len);
}

#if LIBC_HAS_TWINS
/* To programs with times of 64 bits: the same functions to libc, and the options have numbers. */
HOOK_ALIAS(__setsockopt64, setsockopt);
HOOK_ALIAS(__getsockopt64, getsockopt);
#endif
