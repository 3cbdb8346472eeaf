/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - would a bind work now, without SO_REUSEADDR and with it, and why not?
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <stdbool.h>

#include "observe/conflict.h"
#include "reuse/event.h"
#include "why/port.h"

/* What would become of a bind, and why, as an event that has failed tells it. */
struct verdict {
	int without, with; /* errno, 0 where it works */
	struct event why;
};

/* Of a bind to that address, of whose port it is known who is on it. */
struct verdict verdict_of(const struct port *port, const struct endpoint *at);

/* When it is known who has its sockets open: put into it whose the one is that is named. */
void verdict_name_owner(struct verdict *verdict, const struct port *port);

/* What a socket that a program makes there is to the kernel's rule, without options. */
struct conflict_sock verdict_asker(const struct endpoint *at);

/* Do they say the same, but of what address? */
bool verdict_same(const struct verdict *a, const struct verdict *b);

/* Is the address one that can be bound at all? Return 0 or errno. */
int verdict_try_address(const struct endpoint *at);

#endif
