/*
 * reuse.c - see reuse.h.
 */
#include "hooks/reuse.h"

#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"
#include "sys/sys.h"

static __attribute__((noinline)) bool set_option_logged(int fd, int option, int value,
							struct policy *policy)
{
	struct event ev;
	int rc;

	event_begin(&ev, CALL_setsockopt, fd);
	ev.pid = policy->pid;
	ev.sock.cookie = policy->cookie;
	ev.by_shim = ev.has_args = true;
	ev.args.sockopt.level = SOL_SOCKET;
	ev.args.sockopt.option = option;
	ev.more.value.readable = true;
	ev.more.value.len = sizeof(value);
	memcpy(ev.more.value.bytes, &value, sizeof(value));

	rc = sys_setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));

	event_end(&ev, rc < 0 ? -1 : 0, -rc);
	if (observe_own_call(&ev, policy->state))
		event_emit(&ev);
	policy->cookie = ev.sock.cookie;
	return rc == 0;
}

static inline bool set_option(int fd, int option, int value, struct policy *policy)
{
	if (shim_logs(CALL_setsockopt))
		return set_option_logged(fd, option, value, policy);
	return sys_setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

void reuse_enable(int fd, struct policy *policy)
{
	if ((policy->enable & REUSED_ADDR) && !set_option(fd, SO_REUSEADDR, 1, policy))
		policy->enable &= (uint8_t)~REUSED_ADDR;
	if ((policy->enable & REUSED_PORT) && !set_option(fd, SO_REUSEPORT, 1, policy))
		policy->enable &= (uint8_t)~REUSED_PORT;
}

void reuse_take_back(int fd, struct policy *policy)
{
	if (policy->enable & REUSED_PORT)
		set_option(fd, SO_REUSEPORT, 0, policy);
	if (policy->enable & REUSED_ADDR)
		set_option(fd, SO_REUSEADDR, 0, policy);
	policy->enable = 0;
	policy->tried = true;
}

void reuse_note(struct event *ev, const struct policy *policy)
{
	ev->pid = policy->pid;
	ev->prepared = policy->enable;
	ev->reuse = shim.set.reuse & 3;
	ev->tried_reuse = policy->tried;
	if (policy->enable)
		ev->notes |= NOTE_BIT(NOTE_REUSE_ENABLED);
	if (policy->respected)
		ev->notes |= NOTE_BIT(NOTE_REUSE_RESPECTED);
}
