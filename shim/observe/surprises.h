/* SPDX-License-Identifier: MIT */
/*
 * surprises.h - what is noted of an end: what became of the connection, or of those that a
 * listener had in its queue, and was not what the call asked for.
 */
#ifndef OBSERVE_SURPRISES_H
#define OBSERVE_SURPRISES_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"

struct closing;
struct tcp_facts;

/* States in which a close with SO_LINGER 0 sends RST (tcp_need_reset in the kernel). */
#define STATES_ABORTED                                                                             \
	(STATE_BIT(STATE_SYN_RCVD) | STATE_BIT(STATE_ESTABLISHED) | STATE_BIT(STATE_FIN_WAIT_1) |  \
	 STATE_BIT(STATE_FIN_WAIT_2) | STATE_BIT(STATE_CLOSE_WAIT))

/* States in which a close with unread bytes does: all that a connection can be in. */
#define STATES_TAKING (STATES_ABORTED | STATE_BIT(STATE_CLOSING) | STATE_BIT(STATE_LAST_ACK))

/* States that a FIN of ours has led to. */
#define STATES_FIN_SENT                                                                            \
	(STATE_BIT(STATE_FIN_WAIT_1) | STATE_BIT(STATE_FIN_WAIT_2) | STATE_BIT(STATE_CLOSING) |    \
	 STATE_BIT(STATE_LAST_ACK))

/* After a close, ev->sock being what it left. still_open: somebody has the socket. */
void surprises_of_close(struct event *ev, const struct closing *closing, bool still_open);

/* After a shutdown; before: what TCP_INFO said just before it. */
void surprises_of_shutdown(struct event *ev, int handle, const struct tcp_facts *before);

/* After an accept that worked, the connection being ev->sock. */
void surprises_of_accept(struct event *ev, int handle, const struct tcp_facts *facts);

#endif
