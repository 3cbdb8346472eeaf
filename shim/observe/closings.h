/* SPDX-License-Identifier: MIT */
/*
 * closings.h - the TCP sockets that a range close is about to end.
 */
#ifndef OBSERVE_CLOSINGS_H
#define OBSERVE_CLOSINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "observe/closing.h"

struct closings {
	struct closing *list;
	size_t count, told, room; /* room: of the mapping */
};

/*
 * Find those between first and last, both included, as /proc lists them, or where
 * that can't be read among those that the shim has seen. The list may end early
 * where there is no memory for it. It must be given to closings_done.
 */
void closings_find(struct closings *ret, enum call_id call, unsigned int first, unsigned int last);
void closings_done(struct closings *closings);

/*
 * After the close, whose time and result ev has: make it the event of the next of these sockets.
 * False where there is none any more; none at all where the close has failed.
 */
bool closings_next(struct closings *closings, struct event *ev);

#endif
