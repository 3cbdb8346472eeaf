/*
 * bind.c - the hook of bind: where SO_REUSEADDR is enabled.
 */
#include "hooks/hook.h"
#include "hooks/reuse.h"
#include "hooks/wait.h"
#include "log/log.h"
#include "observe/observe.h"
#include "sys/process.h"

/* Before the bind, unless gentle waits for a reason. */
static struct policy before_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct policy policy = {0};

	if (shim.set.reuse != REUSE_GENTLE) {
		policy = policy_bind(fd, addr, len);
		reuse_enable(fd, &policy);
	}
	return policy;
}

/*
 * gentle, after a first EADDRINUSE: try again with the option. Where that fails
 * as well, the option is taken back and the first answer stands.
 */
static bool bind_again(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len,
		       struct policy *ret)
{
	*ret = policy_bind(fd, addr, len);
	reuse_enable(fd, ret);
	if (!ret->enable)
		return false;
	if (way(fd, addr, len) == 0)
		return true;
	reuse_take_back(fd, ret);
	return false;
}

int bind_by(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len)
{
	const bool gentle = shim.set.reuse == REUSE_GENTLE, logs = shim_logs(CALL_bind);
	const int errno_before = errno;
	struct waited waited = {0};
	struct policy policy;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_bind) || (shim.events && !process_owner()))
		return way(fd, addr, len);
	policy = before_bind(fd, addr, len);
	if (logs)
		event_begin(&ev, CALL_bind, fd);

	rc = way(fd, addr, len);
	err = hook_error(rc);

	if (logs)
		event_end(&ev, rc, err);
	if (gentle && err == EADDRINUSE && bind_again(way, fd, addr, len, &policy))
		rc = err = 0;
	if (err == EADDRINUSE && shim.set.wait_seconds &&
	    wait_for_dying(way, fd, addr, len, &waited))
		rc = err = 0;
	if (!err)
		errno = errno_before; /* a bind that works leaves it alone */
	if (gentle && !err)
		policy_bound(fd, addr, len);
	if (logs) {
		ev.ret = rc;
		ev.error = err;
		reuse_note(&ev, &policy);
		wait_note(&ev, &waited);
		if (observe_bind(&ev, addr, len))
			event_emit(&ev);
	}

	return hook_result(rc, err);
}

HOOK int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind_by(libc.bind, fd, addr, len);
}
