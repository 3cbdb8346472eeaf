/* SPDX-License-Identifier: MIT */
/*
 * bound.h - the sockets of this process that are bound and do not listen yet. A bind
 * that such a one refuses would pass if both had SO_REUSEADDR, and the second listen
 * would fail instead: a program that expects the first may not expect the second.
 *
 * What is kept is where to look: by port, the numbers that binds were made with. What
 * they are now the kernel is asked, and only where another number was bound to the
 * same port. So neither a close that nobody saw nor a vfork child does harm.
 */
#ifndef OBSERVE_BOUND_H
#define OBSERVE_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/conflict.h"
#include "observe/sock_ref.h"
#include "reuse/event.h"

/*
 * Before a bind: has no other number been bound to that port? No system call. Only
 * then it is noted; else it is for bound_refuses to do.
 */
bool bound_alone(int number, uint16_t port);

/*
 * Would the kernel refuse that bind, as the program has made it, for another socket of
 * this process that is bound and nothing else?
 */
bool bound_refuses(struct sock_ref ref, const struct endpoint *asked);

/* What the kernel's rule of conflicts looks at in a socket, but for its address and state. */
void bound_ask(int handle, struct conflict_sock *ret);

#endif
