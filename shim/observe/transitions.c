/* SPDX-License-Identifier: MIT */
/*
 * transitions.c - see transitions.h. Judges nothing and changes nothing that was
 * observed; it only fills in what can't be otherwise.
 */
#include "observe/transitions.h"

#define TO(state) STATE_BIT(STATE_##state)

/*
 * The arrows of RFC 9293, figure 5, with its note 2 (no resets), that a socket goes. Those
 * from LISTEN to SYN_RCVD and back are not among them: each connection of a listener is a
 * socket of its own, which begins in SYN_RCVD. Nor is that from LISTEN to SYN_SENT: here a
 * listener can't connect.
 */
static const uint16_t arrows[STATE_COUNT] = {
	[STATE_CLOSED] = TO(LISTEN) | TO(SYN_SENT),
	[STATE_LISTEN] = TO(CLOSED),
	[STATE_SYN_SENT] = TO(SYN_RCVD) | TO(ESTABLISHED) | TO(CLOSED),
	[STATE_SYN_RCVD] = TO(ESTABLISHED) | TO(FIN_WAIT_1),
	[STATE_ESTABLISHED] = TO(FIN_WAIT_1) | TO(CLOSE_WAIT),
	[STATE_FIN_WAIT_1] = TO(FIN_WAIT_2) | TO(CLOSING) | TO(TIME_WAIT),
	[STATE_FIN_WAIT_2] = TO(TIME_WAIT),
	[STATE_CLOSE_WAIT] = TO(LAST_ACK),
	[STATE_CLOSING] = TO(TIME_WAIT),
	[STATE_LAST_ACK] = TO(CLOSED),
	[STATE_TIME_WAIT] = TO(CLOSED),
};

/*
 * And those that are left to a socket which is its own peer. It hears its own SYN before
 * anything acknowledges it, and its own FIN likewise: a simultaneous open, a simultaneous close.
 */
static const uint16_t arrows_to_itself[STATE_COUNT] = {
	[STATE_CLOSED] = TO(LISTEN) | TO(SYN_SENT),
	[STATE_LISTEN] = TO(CLOSED),
	[STATE_SYN_SENT] = TO(SYN_RCVD) | TO(CLOSED),
	[STATE_SYN_RCVD] = TO(ESTABLISHED) | TO(FIN_WAIT_1),
	[STATE_ESTABLISHED] = TO(FIN_WAIT_1),
	[STATE_FIN_WAIT_1] = TO(CLOSING),
	[STATE_CLOSING] = TO(TIME_WAIT),
	[STATE_TIME_WAIT] = TO(CLOSED),
};

static const uint16_t *arrows_of(enum figure figure)
{
	return figure == FIGURE_TO_ITSELF ? arrows_to_itself : arrows;
}

/* The states that can be reached from one without passing through avoid or CLOSED. */
static unsigned int reachable(const uint16_t *to, enum tcp_state_id from, enum tcp_state_id avoid)
{
	const unsigned int closed_to = avoid == STATE_UNKNOWN ? 0 : STATE_BIT(avoid);
	unsigned int seen = to[from], passed = 0;

	for (;;) {
		const unsigned int next = seen & ~passed & ~closed_to & ~STATE_BIT(STATE_CLOSED);

		if (!next)
			return seen;

		const unsigned int state = (unsigned int)__builtin_ctz(next);

		passed |= STATE_BIT(state);
		seen |= to[state];
	}
}

int states_possible(enum figure figure, enum tcp_state_id from, enum tcp_state_id to)
{
	return from == to || to == STATE_CLOSED ||
	       (reachable(arrows_of(figure), from, STATE_UNKNOWN) & STATE_BIT(to)) != 0;
}

size_t states_between(enum figure figure, enum tcp_state_id from, enum tcp_state_id to,
		      uint8_t *ret)
{
	const uint16_t *const arrow = arrows_of(figure);
	size_t n = 0;

	if (from == STATE_UNKNOWN || to == STATE_UNKNOWN || from == to || to == STATE_CLOSED)
		return 0;
	if (arrow[from] & STATE_BIT(to))
		return 0; /* the common case: one arrow, nothing between */
	if (!states_possible(figure, from, to))
		return 0;

	/* Necessary is what, taken away, leaves no way. The order is that of states.def. */
	for (unsigned int state = STATE_LISTEN; state < STATE_COUNT; state++)
		if (state != from && state != to &&
		    !(reachable(arrow, from, (enum tcp_state_id)state) & STATE_BIT(to)))
			ret[n++] = (uint8_t)state;
	return n;
}
