/* SPDX-License-Identifier: MIT */
/*
 * policy.h - may the shim enable SO_REUSEADDR on this socket? Asks the kernel and
 * the notes, and changes nothing: the hooks do what it says.
 */
#ifndef OBSERVE_POLICY_H
#define OBSERVE_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/sock_ref.h"
#include "reuse/event.h"

struct policy {
	uint64_t cookie;    /* of the socket that it was enabled on; 0: it was not asked for */
	int32_t pid;	    /* what process_owner() has said in this call; 0: it was not asked */
	uint8_t enable;	    /* set of REUSED_ADDR, REUSED_PORT: to be enabled */
	uint8_t state;	    /* with enable: of the socket, as TCP_INFO has it */
	bool crowded;	    /* another number was bound to that port: bound_refuses knows more */
	bool tried : 1;	    /* gentle: enabled, and taken back, for it did not help */
	bool respected : 1; /* left alone, because the program itself had set it to 0 */
};

/* Is there anything that a bind may be prepared with? Else its address is not read. */
static inline bool policy_acts(void)
{
	return shim.set.reuse != REUSE_OFF && shim_acts();
}

/*
 * What to enable for a bind to an address of that family and port, into *ret, where nothing
 * is to be enabled before. Nothing where it is not a TCP bind to a port (other than 0) that the
 * settings cover. At most two getsockopt with the log off; with it the options are read as well, to
 * tell the truth.
 */
void policy_bind(struct sock_ref ref, uint16_t family, uint16_t port, struct policy *ret);

/* Sets an option on a socket. False where that could not be done. */
typedef bool policy_set(struct sock_ref ref, int option, int value, struct policy *policy);

/* Enable what policy->enable names; what could not be set is dropped from it. */
static inline __attribute__((always_inline)) void
policy_enable(struct sock_ref ref, struct policy *policy, policy_set *set)
{
	if ((policy->enable & REUSED_ADDR) && !set(ref, SO_REUSEADDR, 1, policy))
		policy->enable &= (uint8_t)~REUSED_ADDR;
	if ((policy->enable & REUSED_PORT) && !set(ref, SO_REUSEPORT, 1, policy))
		policy->enable &= (uint8_t)~REUSED_PORT;
}

/* Take back what policy_enable did. */
static inline __attribute__((always_inline)) void
policy_take_back(struct sock_ref ref, struct policy *policy, policy_set *set)
{
	if (policy->enable & REUSED_PORT)
		set(ref, SO_REUSEPORT, 0, policy);
	if (policy->enable & REUSED_ADDR)
		set(ref, SO_REUSEADDR, 0, policy);
	policy->enable = 0;
	policy->tried = true;
}

/* Put the notes into the event of the program's own call, and what the policy knows of the caller.
 */
void policy_note(struct event *ev, const struct policy *policy);

/* gentle: what to enable at listen or connect, for a socket that policy_bound was told of. */
void policy_late(int handle, struct policy *ret);

/* gentle: that bind worked as the program asked; listen or connect will want to know. */
void policy_bound(int handle, uint16_t family, uint16_t port);

/* The program has set SO_REUSEADDR or SO_REUSEPORT itself: remember where to 0. */
void policy_option_set(int handle, int option, bool on);

#endif
