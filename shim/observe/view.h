/* SPDX-License-Identifier: MIT */
/*
 * view.h - a socket as one event shows it: what was noted, what is asked now, and
 * the way between the two. The parts that observe.c and closing.c share.
 */
#ifndef OBSERVE_VIEW_H
#define OBSERVE_VIEW_H

#include <netinet/in.h>

#include "observe/diag_parse.h"
#include "observe/diag_query.h"
#include "observe/fdtable.h"
#include "observe/sock_ref.h"
#include "observe/tcp_state.h"
#include "reuse/event.h"
#include "sys/clock.h"

static inline bool state_is_in(uint8_t state, uint32_t set)
{
	return (set & STATE_BIT(state)) != 0;
}

static inline bool state_is_synchronized(uint8_t state)
{
	return state_is_in(state, STATES_SYNCHRONIZED);
}

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* later than some C libraries */
#endif

/*
 * Cookie (where it is not known yet), what the last event of this socket through this number left
 * behind, and both addresses. state: as TCP_INFO gave it now. The note that was there goes into
 * *ret, empty where there was none.
 */
void view_begin(struct sock_view *view, struct sock_ref ref, uint8_t state, struct fd_note *ret);

/*
 * Are the addresses that were noted those of the socket still? Not for certain where it has other
 * numbers, here (a copy) or in another process of the family: through one of these its connection
 * may have been dissolved and another one made.
 */
bool view_addresses_hold(const struct fd_note *note);

/*
 * Fill in the way: a waypoint is a state that was measured in between or that the
 * call itself makes necessary; STATE_UNKNOWN for none.
 */
void view_trace(struct sock_view *view, uint8_t first, uint8_t second);

/*
 * SYN_SENT where the socket has sent a SYN that no event told of: by sendto() with MSG_FASTOPEN,
 * or by a connect that is not logged. A connection that is there shows that by itself; this is
 * for an attempt that has failed. Told once.
 */
uint8_t view_unseen_syn(struct sock_view *view, const struct tcp_facts *facts);

/*
 * Note down what the next event of this socket will want to know. before: the note
 * that view_begin found; where it is empty, this is the socket's first event, and
 * stack is where it was made. Where the event does not say in which state it was, it says
 * in which network namespace.
 */
void view_keep(struct sock_view *view, struct sock_ref ref, uint32_t stack,
	       const struct fd_note *before);

/*
 * The same of a socket that the call has made, and whose addresses it was asked for. kind: a note
 * whose protocol and namespace are its own as well.
 */
void view_keep_new(struct sock_view *view, struct sock_ref ref, uint32_t stack,
		   const struct fd_note *kind);

/*
 * Everything by which sock_diag will find this socket; the handle must still be open. state: by
 * TCP_INFO; note: what view_begin has found. Protocol and namespace are asked for where the note
 * does not have them, and noted.
 */
void view_identify(const struct sock_view *view, int handle, uint8_t state, struct fd_note *note,
		   struct diag_id *ret);

/*
 * Its parts: all but protocol, which is TCP then, and namespace, which is not known; false where
 * the device is not known, so that not to be found says nothing. And these two.
 */
bool view_locate(const struct sock_view *view, int handle, uint8_t state,
		 const struct fd_note *note, struct diag_id *ret);
void view_tell_kind(int handle, struct fd_note *note, struct diag_id *ret);

/*
 * Both of a listener that is about to accept, into its note: its connections have them, too. So
 * they do not where it is one of MPTCP, with which a peer may speak TCP.
 */
void view_learn_listener(struct sock_ref ref, struct fd_note *note);
bool view_is_inherited(const struct fd_note *listener);

/* The state by sock_diag's answer rc: CLOSED where that is certain, else unknown. */
void view_take_answer(struct sock_view *view, int rc, const struct diag_sock *found);

/*
 * States from which no orderly end leads to CLOSED, unless more has happened since: a FIN of ours,
 * or TIME_WAIT, which then has left no error and has had that FIN acknowledged.
 */
#define STATES_UNENDED                                                                             \
	(STATE_BIT(STATE_ESTABLISHED) | STATE_BIT(STATE_CLOSE_WAIT) |                              \
	 STATE_BIT(STATE_FIN_WAIT_1) | STATE_BIT(STATE_FIN_WAIT_2) | STATE_BIT(STATE_CLOSING))

/*
 * Of a socket that TCP_INFO calls CLOSE: was there a connection through this
 * number whose end nobody has seen? It may be in TIME_WAIT, which the kernel keeps
 * apart from the socket.
 */
bool view_may_wait(const struct sock_view *view);

/* And where view_may_wait is false: is CLOSED the truth, or is nothing known of its end? */
bool view_is_closed(const struct sock_view *view, bool was_connected);

/*
 * And where view_may_wait is true: what does the socket itself tell of its end? That it is not in
 * TIME_WAIT, where no FIN of ours was acknowledged, or an error waits, or nothing but CLOSED can
 * follow the last known state. And that the peer, or the network, has ended it, where nobody here
 * can have sent the FIN of an orderly end, through this number, another one or in another process.
 * last: a state that was measured just now; STATE_UNKNOWN: none but the note's. Not for MPTCP.
 */
enum view_end { END_UNKNOWN, END_CLOSED, END_RESET };
enum view_end view_end(const struct sock_view *view, int handle, const struct tcp_facts *facts,
		       const struct fd_note *note, uint8_t last);

/* Are all the calls logged by which the program itself may end a connection? */
bool view_knows_endings(void);

#endif
