/* SPDX-License-Identifier: MIT */
/*
 * policy.c - see policy.h.
 */
#include "observe/policy.h"

#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/bound.h"
#include "observe/choices.h"
#include "observe/tcp_state.h"

/* Is this an address of TCP's with a port that the settings cover? */
static bool address_counts(uint16_t family, uint16_t port)
{
	/* The kernel takes AF_UNSPEC for AF_INET. */
	if (family != AF_INET && family != AF_INET6 && family != AF_UNSPEC)
		return false;
	return port != 0 && settings_port(&shim.set, port);
}

/*
 * Is the option on already? Without a log nobody is told, and setting it again
 * changes nothing: then it is asked for only within the two questions that a bind
 * may cost, TCP_INFO being the first.
 */
static bool is_on(int handle, int option, bool worth_asking)
{
	return (shim.events || worth_asking) && sock_option(handle, SOL_SOCKET, option) > 0;
}

static inline void decide(int handle, int state, uint8_t flags, struct policy *ret)
{
	const bool forced = shim.set.reuse == REUSE_FORCE;

	ret->state = (uint8_t)state;
	if (!forced && (flags & CHOSE_REUSEADDR_OFF))
		ret->respected = true;
	else if (!is_on(handle, SO_REUSEADDR, !choices_exist()))
		ret->enable |= REUSED_ADDR;

	if (shim.set.reuseport && (forced || !(flags & CHOSE_REUSEPORT_OFF)) &&
	    !is_on(handle, SO_REUSEPORT, false))
		ret->enable |= REUSED_PORT;
}

void policy_bind(struct sock_ref ref, uint16_t family, uint16_t port, struct policy *ret)
{
	int state;

	if (!address_counts(family, port))
		return;
	state = tcp_state(ref.handle);
	if (state < 0)
		return;
	decide(ref.handle, state, choices_exist() ? choices_of(ref.handle) : 0, ret);
	ret->crowded = shim.set.reuse == REUSE_AUTO && !bound_alone(ref.number, port);
}

void policy_late(int handle, struct policy *ret)
{
	const uint8_t flags = choices_of(handle);
	const int state = flags & CHOSE_BOUND ? tcp_state(handle) : -1;

	if (state == STATE_CLOSED)
		decide(handle, state, flags, ret);
}

void policy_bound(int handle, uint16_t family, uint16_t port)
{
	if (address_counts(family, port) && tcp_state(handle) >= 0)
		choices_change(handle, CHOSE_BOUND, 0);
}

void policy_option_set(int handle, int option, bool on)
{
	const uint8_t off = option == SO_REUSEADDR ? CHOSE_REUSEADDR_OFF : CHOSE_REUSEPORT_OFF;

	if (on && option == SO_REUSEPORT)
		atomic_store_explicit(&choices_reuseport, true, memory_order_relaxed);
	choices_change(handle, on ? 0 : off, on ? off : 0);
}

void policy_note(struct event *ev, const struct policy *policy)
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
