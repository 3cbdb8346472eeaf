/* SPDX-License-Identifier: MIT */
/*
 * tcp.h - the states of a TCP socket, by their names and in the order of RFC 9293.
 */
#ifndef REUSE_TCP_H
#define REUSE_TCP_H

/* State 0 is "not known": what the kernel did not tell is never guessed. */
enum tcp_state_id {
	STATE_UNKNOWN,
#define STATE(name, linux_name) STATE_##name,
#include "reuse/states.def"
	STATE_COUNT
};

/* A set of states, a bit each. */
#define STATE_BIT(state) (1u << (state))

/* The states of a connection that has been made: after SYN, before the end. */
#define STATES_SYNCHRONIZED                                                                        \
	(STATE_BIT(STATE_ESTABLISHED) | STATE_BIT(STATE_FIN_WAIT_1) |                              \
	 STATE_BIT(STATE_FIN_WAIT_2) | STATE_BIT(STATE_CLOSE_WAIT) | STATE_BIT(STATE_CLOSING) |    \
	 STATE_BIT(STATE_LAST_ACK) | STATE_BIT(STATE_TIME_WAIT))

#endif
