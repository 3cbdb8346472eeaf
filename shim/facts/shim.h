/* SPDX-License-Identifier: MIT */
/*
 * shim.h - what was decided at load, and whether the hooks have work at all.
 *
 * Written by boot before the first hook acts and immutable from then on, but for
 * hooks, which is 0 while a sandbox is being installed, and for good once it is.
 */
#ifndef FACTS_SHIM_H
#define FACTS_SHIM_H

#include <stdatomic.h>

#include "facts/settings.h"
#include "reuse/event.h"

struct shim {
	_Atomic(uint32_t) hooks; /* set of enum call_id: hooks that do more than pass through */
	uint32_t hooks_at_load;
	bool silent;	    /* observed for the report at exit alone, not logged */
	uint32_t events;    /* set of enum call_id: calls that are logged; 0: no log */
	int listen_fds;	    /* from 3 on, so many descriptors were handed over: LISTEN_FDS */
	bool colored, utf8; /* the text: its reader's terminal and locale */
	char prog[16];	    /* /proc/self/comm at load */
	struct settings set;
};

extern struct shim shim;

/* False from the moment on that the program locks itself in: also for calls under way. */
static inline bool shim_acts(void)
{
	return atomic_load_explicit(&shim.hooks, memory_order_relaxed) != 0;
}

static inline bool shim_logs(enum call_id call)
{
	return (shim.events & CALL_BIT(call)) && shim_acts();
}

#endif
