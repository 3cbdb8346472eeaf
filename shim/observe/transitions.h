/* SPDX-License-Identifier: MIT */
/*
 * transitions.h - what must lie between two observed states of a connection.
 */
#ifndef OBSERVE_TRANSITIONS_H
#define OBSERVE_TRANSITIONS_H

#include <stddef.h>
#include <stdint.h>

#include "reuse/tcp.h"

/* Of two ends, as nearly always, or of a socket that is connected to itself. */
enum figure { FIGURE_USUAL, FIGURE_TO_ITSELF };

/*
 * The states that every way of a socket from one to the other in figure 5 of RFC 9293 passes
 * through, in order and without the ends, into ret[] (STATE_COUNT places). A way
 * does not pass through CLOSED, where a connection ends.
 * Return how many; 0 also where the figure knows no way at all: what was seen is
 * then reported as it was seen. Any state may turn into CLOSED at once (a reset,
 * which the figure leaves out), so nothing must lie before CLOSED.
 */
size_t states_between(enum figure figure, enum tcp_state_id from, enum tcp_state_id to,
		      uint8_t *ret);

/* Does the figure (or a reset) lead from one to the other, over any number of states? */
int states_possible(enum figure figure, enum tcp_state_id from, enum tcp_state_id to);

#endif
