/* SPDX-License-Identifier: MIT */
/*
 * explain_accept.h - why did accept fail, or another call that makes a descriptor? Puts the note
 * with its figures into the event.
 */
#ifndef OBSERVE_EXPLAIN_ACCEPT_H
#define OBSERVE_EXPLAIN_ACCEPT_H

#include "observe/tcp_state.h"
#include "reuse/event.h"

/* After socket, dup or fcntl. */
void explain_descriptors(struct event *ev);

/*
 * After a failed accept of the socket of which TCP_INFO says facts. had_listened: it was a
 * listener at an earlier event.
 */
void explain_accept(struct event *ev, const struct tcp_facts *facts, bool had_listened);

#endif
