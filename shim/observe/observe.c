/*
 * observe.c - see observe.h. The state is always the kernel's word; what the notes
 * add is what it was before.
 */
#include "observe/observe.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "facts/endpoint.h"
#include "facts/shim.h"
#include "observe/diag.h"
#include "observe/fdtable.h"
#include "observe/tcp_state.h"
#include "observe/transitions.h"
#include "sys/process.h"
#include "sys/sys.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void event_begin(struct event *ev, enum call_id call, int fd)
{
	memset(ev, 0, sizeof(*ev));
	ev->call = (uint8_t)call;
	ev->fd = fd;
	ev->has_fd = true;
	ev->began_ns = now_ns(CLOCK_MONOTONIC);
}

void event_end(struct event *ev, int64_t ret, int err)
{
	ev->dur_ns = now_ns(CLOCK_MONOTONIC) - ev->began_ns;
	ev->time_ns = now_ns(CLOCK_REALTIME);
	ev->ret = ret;
	ev->has_ret = true;
	ev->error = err;
}

bool observe_caller(struct event *ev)
{
	ev->pid = process_owner();
	if (!ev->pid)
		return false;
	ev->tid = process_tid();
	memcpy(ev->prog, shim.prog, sizeof(ev->prog));
	return true;
}

static bool synchronized(uint8_t state)
{
	return (STATES_SYNCHRONIZED & STATE_BIT(state)) != 0;
}

/*
 * The way from what was to the state now. A waypoint is a state that was measured
 * in between or that the call itself makes necessary.
 */
static void pass(struct sock_view *view, uint8_t *at, uint8_t waypoint)
{
	uint8_t between[STATE_COUNT];

	if (waypoint == STATE_UNKNOWN || waypoint == *at)
		return;

	const size_t n = states_between(*at, waypoint, between);

	for (size_t i = 0; i < n && view->n_via < VIA_MAX; i++)
		view->via[view->n_via++] = between[i];
	if (view->n_via < VIA_MAX)
		view->via[view->n_via++] = waypoint;
	*at = waypoint;
}

static void trace(struct sock_view *view, uint8_t first, uint8_t second)
{
	uint8_t at = view->was, between[STATE_COUNT];

	view->n_via = 0;
	if (first != view->state)
		pass(view, &at, first);
	if (second != view->state)
		pass(view, &at, second);

	const size_t n = states_between(at, view->state, between);

	for (size_t i = 0; i < n && view->n_via < VIA_MAX; i++)
		view->via[view->n_via++] = between[i];
}

/* Everything by which sock_diag will find this socket; fd must still be open. */
static void identify(struct diag_id *ret, const struct sock_view *view, int fd)
{
	const int ifindex = sock_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX);
	const int protocol = sock_option(fd, SOL_SOCKET, SO_PROTOCOL);

	*ret = (struct diag_id){
		.cookie = view->cookie,
		.netns = ifindex < 0 ? 0 : sock_netns(fd),
		.local = view->local,
		.peer = view->peer,
		.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex,
		.protocol = (uint16_t)(protocol == IPPROTO_MPTCP ? IPPROTO_MPTCP : IPPROTO_TCP),
	};
}

/* Take over what sock_diag found. CLOSED where it is certain, else unknown. */
static void take_answer(struct sock_view *view, int rc, const struct diag_sock *found)
{
	view->state = rc == 1 ? found->state : rc == 0 ? STATE_CLOSED : STATE_UNKNOWN;
	view->has_timer = rc == 1 && found->has_timer;
	view->timer_ms = view->has_timer ? found->timer_ms : 0;
}

/*
 * TCP_INFO says CLOSE of what was a connection: it may be in TIME_WAIT, which the
 * kernel keeps apart from the socket. Only sock_diag knows, by both addresses.
 */
static void look_behind(struct sock_view *view, int fd)
{
	struct diag_id id;
	struct diag_sock found;
	int rc = -EAGAIN;

	identify(&id, view, fd);
	if (id.protocol == IPPROTO_TCP && diag_answers(IPPROTO_TCP))
		rc = diag_find_exact(&id, &found);
	take_answer(view, rc, &found);
}

/* What the last event of this socket through this number left behind. */
static void recall(struct sock_view *view, const struct fd_note *note)
{
	if (note->cookie != view->cookie)
		return;
	view->was = note->state;
	view->local = note->local;
	view->peer = note->peer;
}

/* The addresses, where they are not known or a connection has been made since. */
static void learn_addresses(struct sock_view *view, int fd, bool seen_before)
{
	const bool connected = synchronized(view->state) && !synchronized(view->was);

	if (!seen_before || connected)
		view->local = sock_local(fd);
	if (!seen_before || connected) {
		const struct endpoint peer = sock_peer(fd);

		if (peer.family)
			view->peer = peer;
	}
}

/* Look at an open socket, whose state TCP_INFO gave as now. */
static void look(struct sock_view *view, int fd, int now)
{
	const struct fd_note note = fdtable_get(fd);

	view->cookie = sock_cookie(fd);
	view->state = (uint8_t)now;
	recall(view, &note);

	const bool seen_before = view->cookie && note.cookie == view->cookie;

	learn_addresses(view, fd, seen_before && view->was);
	if (now != STATE_CLOSED)
		return;
	if (synchronized(view->was) && view->peer.family)
		look_behind(view, fd);
	else if (!view->was && view->local.family && sock_has_talked(fd))
		view->state = STATE_UNKNOWN; /* of its end nobody has seen anything */
}

/* Keep what the next event of this socket will want to know. */
static void keep(const struct sock_view *view, int fd)
{
	const struct fd_note old = fdtable_get(fd);
	const struct fd_note note = {
		.cookie = view->cookie,
		.local = view->local,
		.peer = view->peer,
		.state = view->state,
		.flags = old.cookie == view->cookie ? old.flags : 0,
	};

	if (view->cookie)
		fdtable_set(fd, &note);
}

/* The beginning of all observations of an open socket: its state, or no event. */
static int begin(struct event *ev, int fd)
{
	int state;

	if (!shim_logs(ev->call))
		return -1;
	state = tcp_state(fd);
	if (state < 0 || !observe_caller(ev))
		return -1;
	ev->has_sock = true;
	return state;
}

bool observe_call(struct event *ev)
{
	const int state = begin(ev, ev->fd);

	if (state < 0)
		return false;
	look(&ev->sock, ev->fd, state);
	trace(&ev->sock, STATE_UNKNOWN, STATE_UNKNOWN);
	keep(&ev->sock, ev->fd);
	return true;
}

/* An address of the program's, read softly; family 0 where it is none or unreadable. */
static struct endpoint asked_for(const struct sockaddr *addr, uint32_t len)
{
	union sock_addr copy = {0};
	const uint32_t take = len < sizeof(copy) ? len : (uint32_t)sizeof(copy);

	if (len > sizeof(struct sockaddr_storage) || sys_peek(&copy, addr, take) < 0)
		return (struct endpoint){0};
	return endpoint_from(&copy, take);
}

bool observe_listen(struct event *ev)
{
	const int state = begin(ev, ev->fd);

	if (state < 0)
		return false;
	look(&ev->sock, ev->fd, state);
	if (!ev->sock.local.family)
		ev->sock.local = sock_local(ev->fd); /* listen binds what was not bound */
	trace(&ev->sock, STATE_UNKNOWN, STATE_UNKNOWN);
	keep(&ev->sock, ev->fd);
	return true;
}

bool observe_bind(struct event *ev, const struct sockaddr *addr, uint32_t len)
{
	const int state = begin(ev, ev->fd);

	if (state < 0)
		return false;
	look(&ev->sock, ev->fd, state);
	if (!ev->error)
		ev->sock.local = sock_local(ev->fd);
	trace(&ev->sock, STATE_UNKNOWN, STATE_UNKNOWN);
	keep(&ev->sock, ev->fd);
	if (ev->error)
		ev->sock.local = asked_for(addr, len);
	return true;
}

uint8_t observe_state(enum call_id call, int fd)
{
	const int state = shim_logs(call) ? tcp_state(fd) : -1;

	return state < 0 ? STATE_UNKNOWN : (uint8_t)state;
}

bool observe_shutdown(struct event *ev, uint8_t before)
{
	const int state = begin(ev, ev->fd);
	const bool fin = !ev->error && ev->args.how != SHUT_RD;
	uint8_t necessary = STATE_UNKNOWN;

	if (state < 0)
		return false;
	look(&ev->sock, ev->fd, state);
	/* TCP_INFO says CLOSE of a connection that waits, too: that measured nothing. */
	if (before == STATE_CLOSED && ev->sock.was != STATE_CLOSED)
		before = STATE_UNKNOWN;
	if (fin && before == STATE_CLOSE_WAIT)
		necessary = STATE_LAST_ACK; /* a shutdown never resets */
	trace(&ev->sock, before, necessary);
	keep(&ev->sock, ev->fd);
	return true;
}

/* A SYN went out: all these ends of a connect come after it, refusals before it do not. */
static bool has_sent_syn(int err)
{
	return !err || err == EINPROGRESS || err == EINTR || err == ECONNREFUSED ||
	       err == ECONNRESET || err == ETIMEDOUT;
}

bool observe_connect(struct event *ev, const struct sockaddr *addr, uint32_t len)
{
	const int state = begin(ev, ev->fd);
	const struct endpoint asked = asked_for(addr, len);
	uint8_t necessary = STATE_UNKNOWN;

	if (state < 0)
		return false;
	look(&ev->sock, ev->fd, state);
	ev->sock.local = sock_local(ev->fd);
	if (state == STATE_SYN_SENT && asked.family)
		ev->sock.peer = asked;
	else if (!ev->error && state == STATE_CLOSED)
		ev->sock.peer = (struct endpoint){0}; /* AF_UNSPEC: disconnected */
	if (ev->sock.was != STATE_SYN_SENT && !synchronized(ev->sock.was) &&
	    has_sent_syn(ev->error) && asked.family)
		necessary = STATE_SYN_SENT;
	trace(&ev->sock, necessary, STATE_UNKNOWN);
	keep(&ev->sock, ev->fd);
	if (asked.family)
		ev->sock.peer = asked;
	return true;
}

static bool asks_for_tcp(const struct event *ev)
{
	enum { TYPE_MASK = 0xf }; /* SOCK_NONBLOCK and SOCK_CLOEXEC are beside the type */
	const int domain = ev->args.socket.domain, protocol = ev->args.socket.protocol;

	return (domain == AF_INET || domain == AF_INET6) &&
	       (ev->args.socket.type & TYPE_MASK) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

bool observe_socket(struct event *ev)
{
	if (!shim_logs(ev->call) || !asks_for_tcp(ev) || !observe_caller(ev))
		return false;
	ev->has_fd = false;
	if (ev->error)
		return true;

	const int fd = (int)ev->ret, state = tcp_state(fd);

	ev->has_sock = state >= 0;
	if (ev->has_sock) {
		ev->sock.cookie = sock_cookie(fd);
		ev->sock.state = (uint8_t)state;
		keep(&ev->sock, fd);
	}
	return true;
}

bool observe_accept(struct event *ev, const struct sockaddr *addr, const uint32_t *len)
{
	const int fd = (int)ev->ret;
	uint32_t given;
	int state;

	if (ev->error)
		return observe_call(ev);
	state = begin(ev, fd);
	if (state < 0)
		return false;
	ev->sock.cookie = sock_cookie(fd);
	ev->sock.state = (uint8_t)state;
	ev->sock.local = sock_local(fd);
	ev->sock.peer = sock_peer(fd);
	/* Reset already: only accept itself still knew who it was. */
	if (!ev->sock.peer.family && addr && sys_peek(&given, len, sizeof(given)) == 0)
		ev->sock.peer = asked_for(addr, given);
	trace(&ev->sock, STATE_SYN_RCVD, STATE_UNKNOWN);
	keep(&ev->sock, fd);
	return true;
}

bool observe_dup(struct event *ev)
{
	if (!observe_call(ev))
		return false;
	if (!ev->error && (int)ev->ret != ev->fd) {
		const struct fd_note note = fdtable_get(ev->fd);

		fdtable_set((int)ev->ret, &note);
	}
	return true;
}

static int find(const struct closing *closing, struct diag_sock *ret)
{
	return closing->by_dump ? diag_find_in_dump(&closing->id, ~0u, ret)
				: diag_find_exact(&closing->id, ret);
}

/*
 * Make sure that "not found" will mean "gone". Where that is not plain, the
 * question that will be asked after the close must find the socket now.
 */
static void prepare_question(struct closing *closing)
{
	const bool listens = closing->before == STATE_LISTEN;
	struct diag_sock found;

	closing->by_dump = closing->id.protocol != IPPROTO_TCP ||
			   (listens && sock_option(closing->fd, SOL_SOCKET, SO_REUSEPORT) != 0);
	if (!closing->by_dump && closing->id.netns && diag_answers(IPPROTO_TCP))
		return;
	closing->id.proven = find(closing, &found) == 1;
	if (!closing->id.proven)
		closing->id.netns = 0;
}

bool observe_closing(struct closing *ret, enum call_id call, int fd)
{
	int state;

	if (!shim_logs(call))
		return false;
	state = tcp_state(fd);
	if (state < 0 || !process_owner())
		return false;

	*ret = (struct closing){.fd = fd, .before = (uint8_t)state, .note = fdtable_get(fd)};

	struct sock_view *view = &ret->view;

	view->cookie = sock_cookie(fd);
	view->state = (uint8_t)state;
	recall(view, &ret->note);
	learn_addresses(view, fd, view->was);
	if (state == STATE_CLOSED) {
		/* Never connected, or over: but what was a connection may still wait. */
		ret->ask = synchronized(view->was) && view->peer.family;
		if (!view->was && view->local.family && sock_has_talked(fd))
			ret->before = STATE_UNKNOWN;
	} else {
		ret->ask = true;
		ret->orderly =
			state == STATE_CLOSE_WAIT && sock_unread(fd) == 0 && !sock_lingers_zero(fd);
	}
	if (ret->ask) {
		identify(&ret->id, view, fd);
		prepare_question(ret);
	}
	fdtable_forget(fd);
	return true;
}

void observe_not_closed(const struct closing *closing)
{
	if (closing->note.cookie)
		fdtable_set(closing->fd, &closing->note);
}

/* The state after the close, and the way there. */
static void conclude(struct closing *closing, struct sock_view *ret)
{
	struct sock_view *view = &closing->view;
	struct diag_sock found;
	uint8_t measured = closing->before, necessary = STATE_UNKNOWN;

	if (closing->ask)
		take_answer(view, find(closing, &found), &found);
	else
		view->state = closing->before;
	if (measured == STATE_CLOSED)
		measured = STATE_UNKNOWN; /* TCP_INFO says so of TIME_WAIT, too */
	if (closing->orderly && view->state == STATE_CLOSED)
		necessary = STATE_LAST_ACK;
	trace(view, measured, necessary);
	*ret = *view;
}

bool observe_closed(struct closing *closing, struct event *ev)
{
	if (!observe_caller(ev))
		return false;
	ev->has_sock = true;
	conclude(closing, &ev->sock);
	return true;
}

bool observe_dup_onto(struct event *ev, struct closing *closing)
{
	const bool copied = observe_dup(ev);

	if (!closing)
		return copied;
	ev->has_closed = true;
	ev->closed.fd = closing->fd;
	conclude(closing, &ev->closed.sock);
	return copied || observe_caller(ev);
}
