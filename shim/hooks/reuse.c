/* SPDX-License-Identifier: MIT */
/*
 * reuse.c - see reuse.h.
 */
#include "hooks/reuse.h"

#include <sys/socket.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/observe.h"
#include "sys/sys.h"

static __attribute__((noinline)) bool set_option_logged(int fd, int option, int value,
							struct policy *policy)
{
	struct event ev;
	int rc;

	observe_own_option_begin(&ev, fd, option, value, policy);
	rc = sys_setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
	if (observe_own_option(&ev, fd, rc, policy))
		event_emit(&ev);
	return rc == 0;
}

static inline bool set_option(struct sock_ref ref, int option, int value, struct policy *policy)
{
	if (shim_logs(CALL_setsockopt))
		return set_option_logged(ref.number, option, value, policy);
	return sys_setsockopt(ref.handle, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

void reuse_enable(int fd, struct policy *policy)
{
	policy_enable(sock_here(fd), policy, set_option);
}

void reuse_take_back(int fd, struct policy *policy)
{
	policy_take_back(sock_here(fd), policy, set_option);
}
