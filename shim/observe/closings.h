/*
 * closings.h - the TCP sockets that a range close is about to end.
 */
#ifndef OBSERVE_CLOSINGS_H
#define OBSERVE_CLOSINGS_H

#include <stddef.h>

#include "observe/closing.h"

struct closings {
	struct closing *list;
	size_t count, room; /* room: of the mapping */
};

/*
 * Find those between first and last, both included, as /proc lists them, or where
 * that can't be read among those that the shim has seen. The list may end early
 * where there is no memory for it. It must be given to closings_done.
 */
void closings_find(struct closings *ret, enum call_id call, unsigned int first, unsigned int last);
void closings_done(struct closings *closings);

#endif
