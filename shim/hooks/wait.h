/* SPDX-License-Identifier: MIT */
/*
 * wait.h - TCPSHIM_WAIT: a bind that only dying connections refuse is tried again
 * until they are gone.
 */
#ifndef HOOKS_WAIT_H
#define HOOKS_WAIT_H

#include "hooks/libc.h"
#include "reuse/event.h"

struct waited {
	bool at_all, interrupted;
	uint32_t ms;
	uint64_t began; /* the socket that it is about; 0: none has waited */
};

/*
 * After a bind that failed with EADDRINUSE. Return true where it has worked in the
 * end; else the first answer stands. Never waits for a listener or a live socket,
 * nor in a vfork child; a signal's handler runs at once, and then the wait is over. So it is where
 * the number has become another socket's.
 */
bool wait_for_dying(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len,
		    struct waited *ret);

void wait_note(struct event *ev, const struct waited *waited);

#endif
