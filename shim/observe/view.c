/* SPDX-License-Identifier: MIT */
/*
 * view.c - see view.h.
 */
#include "observe/view.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/transitions.h"
#include "sys/process.h"

/* Are all the calls logged by which the program may copy a descriptor, or change its addresses? */
static bool knows_copies(void)
{
	return shim_logs(CALL_connect) && shim_logs(CALL_dup) && shim_logs(CALL_dup2) &&
	       shim_logs(CALL_dup3) && shim_logs(CALL_fcntl);
}

bool view_addresses_hold(const struct fd_note *note)
{
	return note->asked && note->asked == process_generation() && !note->next_copy &&
	       knows_copies();
}

/* For fd_note's asked, after both addresses were asked of the socket. */
static uint32_t asked_now(const struct sock_view *view)
{
	const bool failed =
		state_is_synchronized(view->state) && !(view->local.family && view->peer.family);

	return failed ? 0 : process_generation();
}

/*
 * The addresses, where they are not known for certain or a connection has been made since. That
 * which is over has no peer any more that it could tell.
 */
static void learn_addresses(struct sock_view *view, int handle, struct fd_note *note)
{
	const bool connected = state_is_synchronized(view->state);
	const bool made = connected && !state_is_synchronized(view->was);
	const bool is_over = view->state == STATE_CLOSED && view->peer.family;

	if (view->was && !made && (is_over || view_addresses_hold(note)))
		return;
	view->local = sock_local(handle);

	const struct endpoint peer = sock_peer(handle);

	/* One that has got another peer since it was noted can only have connected. */
	if (connected && view->was && memcmp(&peer, &view->peer, sizeof(peer)) != 0)
		view->opened = OPENED_BY_US;
	if (peer.family || connected)
		view->peer = peer;
	note->asked = asked_now(view);
	note->renewed = true;
}

void view_begin(struct sock_view *view, struct sock_ref ref, uint8_t state, struct fd_note *ret)
{
	if (!view->cookie)
		view->cookie = sock_cookie(ref.handle);
	view->state = state;
	fdtable_about(ref.number, view->cookie, ret);
	view->was = ret->state;
	view->opened = ret->opened;
	view->local = ret->local;
	view->peer = ret->peer;
	learn_addresses(view, ref.handle, ret);
}

/* Whose way is it? */
static enum figure figure_of(const struct sock_view *view)
{
	const bool to_itself =
		view->local.family && memcmp(&view->local, &view->peer, sizeof(view->local)) == 0;

	return to_itself ? FIGURE_TO_ITSELF : FIGURE_USUAL;
}

/* Add what must lie between *at and the next state. */
static void pass_between(struct sock_view *view, uint8_t at, uint8_t next)
{
	uint8_t between[STATE_COUNT];
	const size_t n = states_between(figure_of(view), at, next, between);

	for (size_t i = 0; i < n && view->n_via < VIA_MAX; i++)
		view->via[view->n_via++] = between[i];
}

/* And the next state itself, where it is a waypoint. */
static void pass(struct sock_view *view, uint8_t *at, uint8_t waypoint)
{
	if (waypoint == STATE_UNKNOWN || waypoint == *at || waypoint == view->state)
		return;
	pass_between(view, *at, waypoint);
	if (view->n_via < VIA_MAX)
		view->via[view->n_via++] = waypoint;
	*at = waypoint;
}

void view_trace(struct sock_view *view, uint8_t first, uint8_t second)
{
	uint8_t at = view->was;

	view->n_via = 0;
	pass(view, &at, first);
	pass(view, &at, second);
	pass_between(view, at, view->state);
}

uint8_t view_unseen_syn(struct sock_view *view, const struct tcp_facts *facts)
{
	/* Without a port when it was last seen: what has been sent was sent since. */
	if (view->was != STATE_CLOSED || view->opened || view->local.port || !facts->has_sent)
		return STATE_UNKNOWN;
	view->opened = OPENED_BY_US;
	return STATE_SYN_SENT;
}

/* Does the note say of the socket what it says now? Most calls change nothing of it. */
static bool is_known(const struct fd_note *note, const struct sock_view *view)
{
	return !note->renewed && note->cookie == view->cookie && note->state == view->state &&
	       note->opened == view->opened &&
	       memcmp(&note->local, &view->local, sizeof(note->local)) == 0 &&
	       memcmp(&note->peer, &view->peer, sizeof(note->peer)) == 0;
}

/* fd_note's protocol. */
enum { NOTED_TCP = 1, NOTED_MPTCP = 2 };

/* As the socket says, or -errno. Others than these two are asked each time. */
static int protocol_of(int handle, struct fd_note *note)
{
	int protocol;

	if (note->protocol)
		return note->protocol == NOTED_MPTCP ? IPPROTO_MPTCP : IPPROTO_TCP;
	protocol = sock_option(handle, SOL_SOCKET, SO_PROTOCOL);
	if (protocol == IPPROTO_MPTCP)
		note->protocol = NOTED_MPTCP;
	else if (protocol == IPPROTO_TCP)
		note->protocol = NOTED_TCP;
	note->renewed |= note->protocol != 0;
	return protocol;
}

/*
 * The namespaces that sockets were found in. A note has the number of one of these, and 1. Those
 * of more are asked each time.
 */
enum { NAMESPACES = 7 };
static _Atomic(uint64_t) namespaces[NAMESPACES];

static unsigned int number_of_netns(uint64_t netns)
{
	for (unsigned int i = 0; netns && i < NAMESPACES; i++) {
		uint64_t there = 0;

		if (atomic_compare_exchange_strong(&namespaces[i], &there, netns) || there == netns)
			return i + 1;
	}
	return 0;
}

static uint64_t netns_of(int handle, struct fd_note *note)
{
	uint64_t netns;

	if (note->netns)
		return atomic_load_explicit(&namespaces[note->netns - 1], memory_order_relaxed);
	netns = sock_netns(handle);
	note->netns = number_of_netns(netns) & NAMESPACES;
	note->renewed |= note->netns != 0;
	return netns;
}

/* On a first event: which machine's 127.0.0.1 is meant, or which container's. */
static void tell_netns(struct sock_view *view, int handle, struct fd_note *note)
{
	const uint64_t netns = netns_of(handle, note);

	note->renewed = false;
	view->netns = netns <= UINT32_MAX ? (uint32_t)netns : 0;
}

void view_keep(struct sock_view *view, struct sock_ref ref, uint32_t stack,
	       const struct fd_note *before)
{
	struct fd_note note = {.cookie = view->cookie};

	if (!view->cookie || is_known(before, view))
		return;
	note.made_ns = before->made_ns ? before->made_ns : clock_ns(CLOCK_MONOTONIC);
	note.made_at = before->made_ns ? before->made_at : stack;
	note.next_copy = before->next_copy;
	note.local = view->local;
	note.peer = view->peer;
	note.connect_ms = before->connect_ms;
	note.state = view->state;
	note.opened = view->opened;
	note.listened = before->listened || view->state == STATE_LISTEN;
	note.asked = before->asked;
	note.protocol = before->protocol;
	note.netns = before->netns;
	if (!view->was)
		tell_netns(view, ref.handle, &note);
	fdtable_set(ref.number, &note);
}

void view_keep_new(struct sock_view *view, struct sock_ref ref, uint32_t stack,
		   const struct fd_note *kind)
{
	const struct fd_note nothing_noted = {
		.asked = asked_now(view),
		.protocol = kind->protocol,
		.netns = kind->netns,
	};

	view_keep(view, ref, stack, &nothing_noted);
}

void view_learn_listener(struct sock_ref ref, struct fd_note *note)
{
	if (note->protocol && note->netns)
		return;
	protocol_of(ref.handle, note);
	netns_of(ref.handle, note);
	if (!note->renewed)
		return;
	note->renewed = false;
	fdtable_set(ref.number, note);
}

bool view_is_inherited(const struct fd_note *listener)
{
	return listener->protocol == NOTED_TCP;
}

/*
 * Are the addresses what the socket itself has told, as it is now? Where it is alive it was asked;
 * where not, the note tells. (The peer of SYN_SENT is what connect was given.)
 */
static bool addresses_are_told(const struct sock_view *view, uint8_t state,
			       const struct fd_note *note)
{
	return state_is_synchronized(state) ||
	       (state_is_synchronized(view->was) && view_addresses_hold(note));
}

bool view_locate(const struct sock_view *view, int handle, uint8_t state,
		 const struct fd_note *note, struct diag_id *ret)
{
	const int ifindex = sock_ifindex(handle);

	*ret = (struct diag_id){
		.cookie = view->cookie,
		.local = view->local,
		.peer = view->peer,
		.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex,
		.protocol = IPPROTO_TCP,
		.opened = addresses_are_told(view, state, note) ? view->opened : OPENED_UNKNOWN,
	};
	return ifindex >= 0;
}

void view_tell_kind(int handle, struct fd_note *note, struct diag_id *ret)
{
	if (protocol_of(handle, note) == IPPROTO_MPTCP)
		ret->protocol = IPPROTO_MPTCP;
	ret->netns = netns_of(handle, note);
}

void view_identify(const struct sock_view *view, int handle, uint8_t state, struct fd_note *note,
		   struct diag_id *ret)
{
	const bool located = view_locate(view, handle, state, note, ret);

	view_tell_kind(handle, note, ret);
	if (!located)
		ret->netns = 0;
}

void view_take_answer(struct sock_view *view, int rc, const struct diag_sock *found)
{
	view->state = STATE_UNKNOWN;
	view->has_timer = false;
	if (rc == 0)
		view->state = STATE_CLOSED;
	if (rc != 1)
		return;
	view->state = found->state;
	view->has_timer = found->has_timer;
	view->timer_ms = found->has_timer ? found->timer_ms : 0;
}

bool view_may_wait(const struct sock_view *view)
{
	const uint32_t begun =
		STATES_SYNCHRONIZED | STATE_BIT(STATE_SYN_SENT) | STATE_BIT(STATE_SYN_RCVD);

	return state_is_in(view->was, begun) && view->peer.family;
}

bool view_is_closed(const struct sock_view *view, bool was_connected)
{
	return !was_connected || (view->was == STATE_CLOSED && view->peer.family);
}

enum view_end view_end(const struct sock_view *view, int handle, const struct tcp_facts *facts,
		       const struct fd_note *note, uint8_t last)
{
	const uint32_t only_closed_follows =
		STATE_BIT(STATE_CLOSE_WAIT) | STATE_BIT(STATE_LAST_ACK);
	const uint32_t begins = STATE_BIT(STATE_SYN_SENT) | STATE_BIT(STATE_SYN_RCVD);
	const int64_t our_syn = view->opened == OPENED_BY_US;
	const bool no_fin = facts->acked_beyond <= our_syn;
	const bool by_others = state_is_in(view->was, STATES_UNENDED) && view_knows_endings();

	if (!facts->was_connected && state_is_in(view->was, begins))
		return END_CLOSED;
	if (facts->was_disconnected)
		return END_UNKNOWN; /* the counts have begun anew */
	/* The program may have read the error. */
	if ((no_fin && view->opened != OPENED_UNKNOWN) || sock_has_error(handle))
		return by_others ? END_RESET : END_CLOSED;
	if (last == STATE_UNKNOWN && view_addresses_hold(note))
		last = view->was;
	return no_fin || state_is_in(last, only_closed_follows) ? END_CLOSED : END_UNKNOWN;
}

bool view_knows_endings(void)
{
	return shim_logs(CALL_shutdown) && shim_logs(CALL_connect);
}
