/* SPDX-License-Identifier: MIT */
/*
 * explain_ports.h - is no local port left of those that the kernel chooses from?
 */
#ifndef OBSERVE_EXPLAIN_PORTS_H
#define OBSERVE_EXPLAIN_PORTS_H

#include "reuse/event.h"

/*
 * After a bind, listen or connect that left the choice to the kernel and failed, for want of a port
 * perhaps: counts who has them, and puts the note into the event where they are used up. Not on a
 * signal's alternate stack.
 */
void explain_exhausted(struct event *ev, int handle);

#endif
