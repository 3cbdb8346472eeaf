/*
 * verdict.h - would a bind work now, without SO_REUSEADDR and with it, and why not?
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <stdbool.h>

#include "port.h"
#include "reuse/event.h"

/* What would become of a bind, and why, as an event that has failed tells it. */
struct verdict {
	int without, with; /* errno, 0 where it works */
	struct event why;
};

/* Of a bind to that address, of whose port it is known who is on it. */
struct verdict verdict_of(const struct port *port, const struct endpoint *at);

/* Do they say the same, but of what address? */
bool verdict_same(const struct verdict *a, const struct verdict *b);

/* Is the address one that can be bound at all? Return 0 or errno. */
int verdict_try_address(const struct endpoint *at);

#endif
