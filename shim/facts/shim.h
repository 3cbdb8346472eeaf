/*
 * shim.h - what was decided at load, and whether the hooks have work at all.
 *
 * Written by boot before the first hook acts and immutable from then on, but for
 * hooks, which becomes 0 for good when the program enters a sandbox.
 */
#ifndef FACTS_SHIM_H
#define FACTS_SHIM_H

#include <stdatomic.h>

#include "facts/settings.h"
#include "reuse/event.h"

struct shim {
	_Atomic(uint32_t) hooks; /* set of enum call_id: hooks that do more than pass through */
	uint32_t events;	 /* set of enum call_id: calls that are logged; 0: no log */
	bool colored;
	char prog[16]; /* /proc/self/comm at load */
	struct settings set;
};

extern struct shim shim;

static inline bool shim_logs(enum call_id call)
{
	return (shim.events & CALL_BIT(call)) != 0;
}

#endif
