/* SPDX-License-Identifier: MIT */
/*
 * observe.c - see observe.h. The state is always the kernel's word; what the notes
 * add is what it was before.
 */
#include "observe/observe.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "facts/shim.h"
#include "observe/attempt.h"
#include "observe/backlog.h"
#include "observe/event.h"
#include "observe/explain.h"
#include "observe/explain_accept.h"
#include "observe/fdtable.h"
#include "observe/proofs.h"
#include "observe/surprises.h"
#include "observe/tcp_state.h"
#include "observe/view.h"

/* The socket that the event is about. */
static inline struct sock_ref ref_of(const struct event *ev, int handle)
{
	return (struct sock_ref){.number = ev->fd, .handle = handle};
}

/* The one that its call has made. */
static inline struct sock_ref made_ref(const struct event *ev, int handle)
{
	return (struct sock_ref){.number = (int)ev->ret, .handle = handle};
}

/*
 * TCP_INFO says CLOSE of what was a connection: it may be in TIME_WAIT, which the
 * kernel keeps apart from the socket. Only sock_diag knows, by both addresses.
 */
static void look_behind(struct event *ev, int handle, const struct tcp_facts *facts,
			struct fd_note *note, uint8_t last)
{
	struct sock_view *view = &ev->sock;
	struct diag_id id;
	struct diag_sock found;

	view_identify(view, handle, facts->state, note, &id);
	switch (id.protocol == IPPROTO_TCP ? view_end(view, handle, facts, note, last)
					   : END_UNKNOWN) {
	case END_RESET:
		ev->notes |= NOTE_BIT(NOTE_PEER_RESET);
		ev->figures.retransmits = facts->retransmits;
		return;
	case END_CLOSED:
		return;
	case END_UNKNOWN:
		break;
	}
	/* "Not found" counts only where such a question is known to find such a socket. */
	if (!proofs_have(&id))
		id.netns = 0;
	view_take_answer(view, proofs_find(&id, &found), &found);
}

/*
 * Look at an open socket, of which TCP_INFO says facts; *ret is what was noted of it. last: the
 * state before the call where it was measured, else STATE_UNKNOWN.
 */
static void look(struct event *ev, int handle, const struct tcp_facts *facts, uint8_t last,
		 struct fd_note *ret)
{
	struct sock_view *view = &ev->sock;

	view_begin(view, ref_of(ev, handle), facts->state, ret);
	if (facts->state != STATE_CLOSED)
		return;
	if (view_may_wait(view))
		look_behind(ev, handle, facts, ret, last);
	else if (!view_is_closed(view, facts->was_connected))
		view->state = STATE_UNKNOWN;
}

/* The beginning of all observations of an open socket: what TCP_INFO says, or no event. */
static bool begin(struct event *ev, int handle, struct tcp_facts *ret)
{
	int rc;

	if (!shim_logs(ev->call))
		return false;
	rc = tcp_ask(handle, ret);
	if (rc < 0)
		event_unanswered(ev->fd, rc);
	if (rc < 0 || !event_caller(ev))
		return false;
	ev->has_sock = true;
	return true;
}

uint64_t observe_began(enum call_id call, struct sock_ref ref)
{
	struct fd_note note;
	uint64_t cookie;

	if (!shim_logs(call))
		return 0;
	cookie = sock_cookie(ref.handle);
	fdtable_about(ref.number, cookie, &note);
	if (note.state == STATE_LISTEN && (call == CALL_accept || call == CALL_accept4))
		view_learn_listener(ref, &note);
	return note.cookie || !tcp_is_none(tcp_state(ref.handle)) ? cookie : NO_TCP_SOCKET;
}

/*
 * The same of a call that may have waited, and began with that socket. Where the number is not its
 * any more there is an event all the same, but without has_sock.
 */
static bool begin_as(struct event *ev, int handle, uint64_t began, struct tcp_facts *ret)
{
	uint64_t cookie;
	int rc;

	if (!began)
		return begin(ev, handle, ret);
	if (!shim_logs(ev->call) || began == NO_TCP_SOCKET)
		return false;
	rc = tcp_ask(handle, ret);
	if (tcp_is_unanswered(rc))
		event_unanswered(ev->fd, rc);
	if (tcp_is_unanswered(rc) || !event_caller(ev))
		return false;
	cookie = rc == 0 ? sock_cookie(handle) : 0;
	ev->has_sock = cookie == began;
	if (ev->has_sock)
		ev->sock.cookie = cookie;
	return true;
}

void observe_own_option_begin(struct event *ev, int number, int option, int value,
			      const struct policy *policy)
{
	event_begin(ev, CALL_setsockopt, number);
	ev->pid = policy->pid;
	ev->sock.cookie = policy->cookie;
	ev->by_shim = ev->has_args = true;
	ev->args.sockopt.level = SOL_SOCKET;
	ev->args.sockopt.option = option;
	ev->more.value.readable = true;
	ev->more.value.len = sizeof(value);
	memcpy(ev->more.value.bytes, &value, sizeof(value));
}

bool observe_own_option(struct event *ev, int handle, int rc, struct policy *policy)
{
	struct fd_note note;

	event_end(ev, rc < 0 ? -1 : 0, -rc);
	if (!event_caller(ev))
		return false;
	ev->has_sock = true;
	view_begin(&ev->sock, ref_of(ev, handle), policy->state, &note);
	view_trace(&ev->sock, STATE_UNKNOWN, STATE_UNKNOWN);
	view_keep(&ev->sock, ref_of(ev, handle), ev->stack, &note);
	policy->cookie = ev->sock.cookie;
	return true;
}

/*
 * The socket ev->fd, what TCP_INFO says of it, and what was noted of it before. Without has_sock
 * nothing is known of these.
 */
static bool observe_open(struct event *ev, int handle, uint64_t began, struct tcp_facts *facts,
			 struct fd_note *before)
{
	if (!begin_as(ev, handle, began, facts))
		return false;
	if (!ev->has_sock)
		return true;
	look(ev, handle, facts, STATE_UNKNOWN, before);
	view_trace(&ev->sock, view_unseen_syn(&ev->sock, facts), STATE_UNKNOWN);
	view_keep(&ev->sock, ref_of(ev, handle), ev->stack, before);
	return true;
}

static bool observe_call_as(struct event *ev, int handle, uint64_t began)
{
	struct tcp_facts facts;
	struct fd_note note;

	return observe_open(ev, handle, began, &facts, &note);
}

bool observe_call(struct event *ev, int handle)
{
	return observe_call_as(ev, handle, 0);
}

bool observe_left_open(struct event *ev, int handle)
{
	const uint64_t end_ns = ev->began_ns + ev->dur_ns;
	struct tcp_facts facts;
	struct fd_note note;

	if (tcp_ask(handle, &facts) < 0 || !event_caller(ev))
		return false;
	ev->has_sock = true;
	look(ev, handle, &facts, STATE_UNKNOWN, &note);
	ev->sock.was = STATE_UNKNOWN; /* what matters is how it is left */
	ev->notes = 0;
	ev->stack = note.made_at;
	/* Another thread may just have made it. */
	if (note.made_ns && note.made_ns < end_ns)
		ev->figures.age_ns = end_ns - note.made_ns;
	return true;
}

bool observe_wait(struct event *ev, int number, int handle, const struct endpoint *asked,
		  const struct holders *holders, uint32_t limit_ms)
{
	struct tcp_facts facts;
	struct fd_note note;

	event_begin(ev, CALL_wait, number);
	event_end(ev, 0, 0);
	ev->has_ret = false;
	ev->by_shim = true;
	ev->notes = NOTE_BIT(NOTE_WAITING);
	ev->more.holders = *holders;
	if (holders->without_end || !holders->longest_ms || holders->longest_ms > limit_ms)
		ev->more.holders.longest_ms = limit_ms;
	if (tcp_ask(handle, &facts) < 0 || !event_caller(ev))
		return false;
	ev->has_sock = true;
	view_begin(&ev->sock, ref_of(ev, handle), facts.state, &note);
	ev->sock.was = STATE_UNKNOWN; /* the bind's event is the next step */
	ev->sock.local = *asked;
	return true;
}

bool observe_setsockopt(struct event *ev, int handle, bool enables_reuse)
{
	if (!observe_call(ev, handle))
		return false;
	/* An accepted connection has its port by its listener: nothing is late there. */
	if (enables_reuse && !ev->error && ev->sock.local.port &&
	    (ev->sock.state == STATE_LISTEN || ev->sock.state == STATE_CLOSED))
		ev->notes |= NOTE_BIT(NOTE_REUSE_TOO_LATE);
	return true;
}

/* Is that a TCP socket which has neither listened nor been connected, as far as is known? */
static bool is_unused(const struct fd_note *note)
{
	return note->state == STATE_CLOSED && !note->listened && !note->opened;
}

/*
 * A bind works in CLOSED alone. So of a socket that is known, by its cookie, to be such a one
 * nothing else need be asked.
 */
static __attribute__((noinline)) bool bind_has_told(struct event *ev, int handle, uint64_t began,
						    struct fd_note *note)
{
	if (ev->call != CALL_bind || ev->error || began || !shim_logs(CALL_bind))
		return false;
	*note = fdtable_get(ev->fd);
	if (note->closed_ns || !is_unused(note))
		return false;
	if (!ev->sock.cookie)
		ev->sock.cookie = sock_cookie(handle);
	ev->has_sock = ev->sock.cookie == note->cookie && event_caller(ev);
	return ev->has_sock;
}

/*
 * A call that may have given the socket a local address. On a stack frame of its
 * own: explaining why it failed needs what there is.
 */
static __attribute__((noinline)) bool observe_binding(struct event *ev, int handle, uint64_t began)
{
	struct tcp_facts facts = {.state = STATE_CLOSED};
	struct fd_note note;
	bool learns, is_new;

	if (!bind_has_told(ev, handle, began, &note) && !begin_as(ev, handle, began, &facts))
		return false;
	if (!ev->has_sock)
		return true;
	look(ev, handle, &facts, STATE_UNKNOWN, &note);
	learns = ev->call == CALL_bind ? !ev->error : !ev->sock.local.family;
	if (learns)
		ev->sock.local = sock_local(handle);
	is_new = is_unused(&note);
	if (ev->call == CALL_listen && !ev->error)
		backlog_of_listen(ev, handle, &facts, is_new);
	view_trace(&ev->sock, STATE_UNKNOWN, STATE_UNKNOWN);
	view_keep(&ev->sock, ref_of(ev, handle), ev->stack, &note);
	return true;
}

bool observe_listen(struct event *ev, int handle)
{
	if (!observe_binding(ev, handle, 0))
		return false;
	if (ev->error)
		explain_listen(ev, handle, &ev->sock.local);
	else
		explain_shared(ev, handle);
	return true;
}

bool observe_bind(struct event *ev, int handle, const struct endpoint *asked, uint64_t began)
{
	if (!observe_binding(ev, handle, began))
		return false;
	if (!ev->has_sock)
		return true;
	if (ev->error) {
		ev->sock.local = *asked;
		explain_bind(ev, handle, &ev->sock.local);
	} else {
		explain_shared(ev, handle);
	}
	return true;
}

void observe_before(enum call_id call, int handle, struct tcp_facts *ret)
{
	if (!shim_logs(call) || tcp_ask(handle, ret) < 0)
		*ret = (struct tcp_facts){.state = STATE_UNKNOWN};
}

bool observe_shutdown(struct event *ev, int handle, const struct tcp_facts *at_first)
{
	uint8_t before = at_first->state;
	struct tcp_facts facts;
	struct fd_note note;
	const bool fin = !ev->error && ev->args.how != SHUT_RD;
	uint8_t necessary = STATE_UNKNOWN;

	if (!begin(ev, handle, &facts))
		return false;
	look(ev, handle, &facts, before == STATE_CLOSED ? STATE_UNKNOWN : before, &note);
	/* TCP_INFO says CLOSE of a connection that waits, too: that measured nothing. */
	if (before == STATE_CLOSED && ev->sock.was != STATE_CLOSED)
		before = STATE_UNKNOWN;
	if (fin && before == STATE_CLOSE_WAIT)
		necessary = STATE_LAST_ACK; /* a shutdown never resets */
	view_trace(&ev->sock, before, necessary);
	view_keep(&ev->sock, ref_of(ev, handle), ev->stack, &note);
	if (!ev->error && at_first->state == STATE_SYN_SENT)
		fdtable_connect(ev->fd, ev->sock.cookie, 0); /* it has ended the attempt */
	surprises_of_shutdown(ev, handle, at_first);
	return true;
}

/* Is it about to be made, or has it failed without an error that the program has got? */
static bool has_begun(const struct event *ev, uint8_t state)
{
	return state == STATE_SYN_SENT || state == STATE_SYN_RCVD ||
	       (state == STATE_CLOSED && (ev->error == EINPROGRESS || ev->error == EINTR));
}

/* That of an attempt that has failed. */
static void forget_peer(struct event *ev, uint8_t state, const struct attempt *before)
{
	if (state == STATE_CLOSED && attempt_is_over(ev, before))
		ev->sock.peer = (struct endpoint){0};
}

/* The addresses that connect has given to the socket, which is in that state now. */
static void learn_connection(struct event *ev, int handle, uint8_t state,
			     const struct endpoint *asked, const struct attempt *before)
{
	struct sock_view *view = &ev->sock;
	const bool made = state_is_synchronized(state);
	static const struct endpoint nowhere;

	if (made && view->was && !state_is_synchronized(view->was))
		return; /* view_begin has asked for them */
	view->local = sock_local(handle);
	if (made)
		view->peer = sock_peer(handle);
	else if (!has_begun(ev, state))
		forget_peer(ev, state, before);
	else if (!before->under_way && ev->error != EALREADY)
		view->peer = endpoint_is_wildcard(asked) ? nowhere : *asked;
}

/* Nobody listens there, and the kernel has given it the port that it was to reach; or it had it. */
static void tell_self_connect(struct event *ev, const struct attempt *before)
{
	if (!state_is_synchronized(ev->sock.state) || state_is_synchronized(ev->sock.was) ||
	    !endpoint_same(&ev->sock.local, &ev->sock.peer))
		return;
	ev->notes |= NOTE_BIT(NOTE_SELF_CONNECT);
	ev->figures.connect_how = before->port == ev->sock.local.port ? SELF_BOUND : SELF_CHOSEN;
}

/* Was the attempt, that was under way to that peer as far as is known, to another than this one? */
static bool is_elsewhere(const struct endpoint *peer, const struct endpoint *asked)
{
	return peer->family ? !endpoint_same(peer, asked) : !endpoint_is_wildcard(asked);
}

/* Of the attempt that was under way, if one was, which may be another's than the event's peer. */
static __attribute__((noinline)) void tell_attempt(struct event *ev, int handle,
						   const struct attempt *before,
						   const struct tcp_facts *facts,
						   const struct fd_note *earlier)
{
	const struct endpoint asked = ev->sock.peer;

	if (before->under_way && earlier->connect_ms && is_elsewhere(&earlier->peer, &asked)) {
		ev->figures.earlier = true;
		ev->sock.peer = earlier->peer;
	}
	attempt_of_connect(ev, handle, before, facts, earlier->connect_ms);
	ev->sock.peer = asked;
}

/* Why it failed; and whether there is an end to be told later. earlier: what was noted before. */
static void follow_attempt(struct event *ev, int handle, const struct attempt *before,
			   const struct tcp_facts *facts, const struct fd_note *earlier)
{
	const uint32_t connect_ms = earlier->connect_ms;
	uint32_t begun = 0;

	if (has_begun(ev, facts->state))
		begun = before->under_way || ev->error == EALREADY ? connect_ms : attempt_begun(ev);
	else if (ev->error && !state_is_synchronized(ev->sock.was))
		tell_attempt(ev, handle, before, facts, earlier);
	if (begun != connect_ms)
		fdtable_connect(ev->fd, ev->sock.cookie, begun);
	explain_connect(ev, handle);
}

bool observe_connect(struct event *ev, int handle, const struct endpoint *asked,
		     const struct attempt *before, uint64_t began)
{
	struct tcp_facts facts;
	struct fd_note note;
	uint8_t necessary = STATE_UNKNOWN;

	if (!begin_as(ev, handle, began, &facts))
		return false;
	if (!ev->has_sock)
		return true;
	if (!ev->error && facts.state == STATE_CLOSED) {
		/* AF_UNSPEC: what it was connected to is not this socket's any more. */
		view_begin(&ev->sock, ref_of(ev, handle), facts.state, &note);
		ev->sock.peer = (struct endpoint){0};
	} else {
		look(ev, handle, &facts, STATE_UNKNOWN, &note);
	}
	learn_connection(ev, handle, facts.state, asked, before);
	if (asked->family && !state_is_synchronized(ev->sock.was)) {
		ev->sock.opened = OPENED_BY_US;
		if (ev->sock.was != STATE_SYN_SENT && !(before->under_way && note.connect_ms) &&
		    attempt_sent_syn(ev, before))
			necessary = STATE_SYN_SENT;
	}
	view_trace(&ev->sock, necessary, STATE_UNKNOWN);
	view_keep(&ev->sock, ref_of(ev, handle), ev->stack, &note);
	tell_self_connect(ev, before);
	if (asked->family)
		ev->sock.peer = *asked;
	follow_attempt(ev, handle, before, &facts, &note);
	return true;
}

static bool asks_for_tcp(const struct event *ev)
{
	const int domain = ev->args.socket.domain, protocol = ev->args.socket.protocol;

	return (domain == AF_INET || domain == AF_INET6) &&
	       (ev->args.socket.type & SOCKET_TYPE_MASK) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static const struct fd_note of_no_kind;

bool observe_socket(struct event *ev, int handle, bool by_libc)
{
	if (!shim_logs(ev->call) || !asks_for_tcp(ev) || !event_caller(ev))
		return false;
	ev->has_fd = false;
	if (ev->error) {
		explain_descriptors(ev);
		return true;
	}

	const uint64_t cookie = sock_cookie(handle);
	/* Without a cookie it may not even be open any more. */
	const int state = by_libc && cookie ? STATE_CLOSED : tcp_state(handle);

	if (tcp_is_none(state))
		return false;
	ev->has_sock = state != -EBADF;
	if (ev->has_sock) {
		ev->sock.cookie = cookie;
		ev->sock.state = state < 0 ? STATE_UNKNOWN : (uint8_t)state;
		view_keep_new(&ev->sock, made_ref(ev, handle), ev->stack, &of_no_kind);
	}
	return true;
}

/* The event is about the listener, or what was taken for one. */
bool observe_failed_accept(struct event *ev, int listener, uint64_t began)
{
	struct tcp_facts facts;
	struct fd_note note;

	if (!observe_open(ev, listener, began, &facts, &note))
		return false;
	if (!ev->has_sock)
		return true;
	backlog_of_failed_accept(ev, listener, &facts);
	explain_accept(ev, &facts, note.listened);
	return true;
}

/*
 * Of which kind is the connection? Of its listener's: that which the call has begun with, if it is
 * still the number's, and libc has asked it right away and not another library another one.
 */
static __attribute__((noinline)) void keep_accepted(struct event *ev, int made, uint64_t began,
						    bool by_libc)
{
	struct fd_note listener;

	fdtable_about(ev->fd, began, &listener);
	if (!by_libc || !view_is_inherited(&listener) || listener.local.port != ev->sock.local.port)
		listener = of_no_kind;
	view_keep_new(&ev->sock, made_ref(ev, made), ev->stack, &listener);
}

bool observe_accept(struct event *ev, int listener, int made, uint64_t began, bool by_libc)
{
	struct tcp_facts facts;

	if (!begin(ev, made, &facts))
		return false;
	ev->sock.cookie = sock_cookie(made);
	ev->sock.state = facts.state;
	ev->sock.opened = OPENED_BY_PEER;
	ev->sock.local = sock_local(made);
	ev->sock.peer = sock_peer(made);
	/* Until its SYN is acknowledged it is there only by TCP Fast Open. */
	view_trace(&ev->sock, STATE_SYN_RCVD,
		   facts.has_delivered ? STATE_ESTABLISHED : STATE_UNKNOWN);
	keep_accepted(ev, made, began, by_libc);
	surprises_of_accept(ev, made, &facts);
	backlog_of_accept(ev, listener, began);
	return true;
}

void observe_accepted_from(struct event *ev, int made, const struct endpoint *peer)
{
	ev->sock.peer = *peer;
	view_keep_new(&ev->sock, made_ref(ev, made), ev->stack, &of_no_kind);
}

bool observe_dup(struct event *ev, int handle, uint64_t began)
{
	if (!observe_call_as(ev, handle, began))
		return false;
	if (ev->error)
		explain_descriptors(ev);
	else if (ev->has_sock)
		fdtable_copy(ev->fd, (int)ev->ret);
	return true;
}
