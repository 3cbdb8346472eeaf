/* SPDX-License-Identifier: MIT */
/*
 * attempt.c - see attempt.h.
 */
#include "observe/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "observe/diag.h"
#include "observe/fdtable.h"
#include "observe/subject.h"
#include "observe/turns.h"
#include "sys/apart.h"
#include "sys/process.h"
#include "sys/sys.h"

enum { NS_OF_MS = 1000000 };

/* Or has it been ended since, by a call that was not seen? Then the counts have begun anew. */
static bool has_not_ended(const struct tcp_facts *facts)
{
	return facts->state == STATE_CLOSED ? facts->has_sent : facts->state != STATE_UNKNOWN;
}

void attempt_before(struct sock_ref ref, struct attempt *ret)
{
	const uint64_t cookie = fdtable_connects(ref.number);

	*ret = (struct attempt){.facts.state = STATE_UNKNOWN};
	ret->under_way = cookie && cookie == sock_cookie(ref.handle) &&
			 tcp_ask(ref.handle, &ret->facts) == 0 && has_not_ended(&ret->facts);
	ret->port = ret->under_way ? 0 : sock_local(ref.handle).port;
	ret->had_port = ret->under_way || ret->port != 0;
}

uint32_t attempt_begun(const struct event *ev)
{
	const uint32_t ms = (uint32_t)(ev->began_ns / NS_OF_MS);

	return ms ? ms : 1;
}

/* How long ago that was when the call had returned; 0 where it is not known. */
static uint32_t since(const struct event *ev, uint32_t connect_ms)
{
	const uint32_t now = (uint32_t)((ev->began_ns + ev->dur_ns) / NS_OF_MS);

	return connect_ms ? now - connect_ms : 0;
}

/* Errors of the way there: ICMP's (icmp_err_convert in the kernel), or the machine's own. */
static bool is_of_the_way(int error)
{
	switch (error) {
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EPROTO:
	case EACCES:
		return true;
	default:
		return false;
	}
}

/*
 * All ends of a connect in the first row come after a SYN. Those of the way come after it
 * (ICMP) or before (no route). A connect that waited is disconnected when it fails, so that the
 * counts begin anew; but the port that it was given for the SYN stays.
 */
bool attempt_sent_syn(const struct event *ev, const struct attempt *before)
{
	switch (ev->error) {
	case 0:
	case EINPROGRESS:
	case EINTR:
	case ECONNREFUSED:
	case ECONNRESET:
	case ETIMEDOUT:
		return true;
	default:
		return is_of_the_way(ev->error) && !before->had_port && ev->sock.local.port;
	}
}

/*
 * Whose error has come instead, where one was under way, is over with it; others that come before
 * a SYN change nothing.
 */
bool attempt_is_over(const struct event *ev, const struct attempt *before)
{
	return ev->error &&
	       (before->under_way || is_of_the_way(ev->error) || attempt_sent_syn(ev, before));
}

enum { FOUND = 2 }; /* 1 is that the walk is complete */

/* Would a connection to peer reach the socket, if it listened? */
static bool covers(const struct diag_sock *sock, const struct endpoint *peer)
{
	if (!endpoint_is_wildcard(&sock->local))
		return endpoint_same(&sock->local, peer);
	return sock->local.port == peer->port &&
	       (sock->local.family == peer->family ||
		(sock->local.family == AF_INET6 && !sock->v6only));
}

static int visit_bound(const struct diag_sock *sock, void *arg)
{
	return sock->state == STATE_CLOSED && covers(sock, arg) ? FOUND : 0;
}

struct look {
	struct diag_scope scope;
	struct endpoint peer;
	int rc;
};

static void look_for_bound(void *arg)
{
	struct look *look = arg;

	look->rc = diag_dump(&look->scope, visit_bound, &look->peer);
}

/*
 * Was it refused because somebody here is bound and does not listen (yet)? To find out, the
 * kernel walks over what is bound anywhere: who tries again and again is told once a second.
 */
static bool is_bound_here(const struct event *ev, int handle)
{
	enum { BOUND = 1 << 13 }; /* TCP_BOUND_INACTIVE */
	struct look look = {
		.scope =
			{
				.netns = sock_netns(handle),
				.protocol = IPPROTO_TCP,
				.family = AF_UNSPEC,
				.port = ev->sock.peer.port,
				.kernel_states = BOUND,
			},
		.peer = ev->sock.peer,
	};

	if (!endpoint_is_loopback(&look.peer) || sys_on_alternate_stack() ||
	    subject_is_elsewhere() || !turn_is_due(&this_process.bound_here, ev))
		return false;
	if (!apart_run(look_for_bound, &look, sizeof(look)))
		look.rc = diag_dump_kept(&look.scope, visit_bound, &look.peer);
	return look.rc == FOUND;
}

static void tell_refused(struct event *ev, int handle, enum refused_by by)
{
	ev->notes |= NOTE_BIT(NOTE_REFUSED);
	ev->figures.connect_how = (uint8_t)by;
	ev->figures.bound_here = by != REFUSED_BY_ICMP && is_bound_here(ev, handle);
}

static void tell_timed_out(struct event *ev, enum timed_out_how how, uint8_t syns, uint32_t over_ms)
{
	ev->notes |= NOTE_BIT(NOTE_TIMED_OUT);
	ev->figures.connect_how = (uint8_t)how;
	ev->figures.syns = syns;
	ev->figures.over_ms = over_ms;
}

static void tell_unreachable(struct event *ev, enum unreachable_how how)
{
	ev->notes |= NOTE_BIT(NOTE_UNREACHABLE);
	ev->figures.connect_how = (uint8_t)how;
}

/* Where the counts have not begun anew, which leaves nothing sent. */
static enum refused_by refused_by(const struct tcp_facts *facts)
{
	if (facts->has_heard)
		return REFUSED_BY_RST;
	return facts->sent ? REFUSED_BY_ICMP : REFUSED_UNKNOWN;
}

static enum timed_out_how timed_out_how(const struct tcp_facts *facts)
{
	if (facts->has_heard)
		return TIMED_OUT_HEARD;
	return facts->sent ? TIMED_OUT_SILENT : TIMED_OUT_UNKNOWN;
}

/* The count of what was sent again outlives a disconnect. */
static uint8_t syns(const struct tcp_facts *facts)
{
	if (facts->sent)
		return facts->sent;
	return facts->retransmits < UINT8_MAX ? facts->retransmits + 1 : UINT8_MAX;
}

static void tell(struct event *ev, int handle, int error, const struct tcp_facts *facts,
		 enum unreachable_how how, uint32_t over_ms)
{
	if (error == ECONNREFUSED)
		tell_refused(ev, handle, refused_by(facts));
	else if (error == ETIMEDOUT)
		tell_timed_out(ev, timed_out_how(facts), syns(facts), over_ms);
	/* From this machine the others may mean what has nothing to do with the way. */
	else if (is_of_the_way(error) &&
		 (how == UNREACHABLE_THERE || error == ENETUNREACH || error == EHOSTUNREACH))
		tell_unreachable(ev, how);
}

static bool waits(int handle)
{
	const int flags = sys_fcntl(handle, F_GETFL, 0);

	return flags < 0 || !(flags & O_NONBLOCK);
}

/* Did the error come before anything was sent? One that is bound and waited does not tell. */
static enum unreachable_how unreachable_how(const struct event *ev, int handle,
					    const struct attempt *before)
{
	if (!before->had_port)
		return ev->sock.local.port ? UNREACHABLE_THERE : UNREACHABLE_HERE;
	return waits(handle) ? UNREACHABLE_UNSURE : UNREACHABLE_HERE;
}

/* Has the peer answered, or sent a SYN of its own that was answered? */
static bool has_met(const struct tcp_facts *facts)
{
	return facts->was_connected || facts->has_delivered || facts->sent > facts->retransmits + 1;
}

/*
 * Of one that was under way: what TCP_INFO said before this call tells how it ended only where it
 * had ended by then. After it the counts have begun anew.
 */
static void tell_earlier(struct event *ev, int handle, const struct tcp_facts *before,
			 const struct tcp_facts *after, uint32_t over_ms)
{
	if (!has_met(before))
		tell(ev, handle, ev->error, before->state == STATE_CLOSED ? before : after,
		     UNREACHABLE_THERE, over_ms);
}

void attempt_of_connect(struct event *ev, int handle, const struct attempt *before,
			const struct tcp_facts *after, uint32_t connect_ms)
{
	if (before->under_way && connect_ms)
		tell_earlier(ev, handle, &before->facts, after, since(ev, connect_ms));
	else if (is_of_the_way(ev->error))
		tell(ev, handle, ev->error, after, unreachable_how(ev, handle, before), 0);
	else
		tell(ev, handle, ev->error, after, UNREACHABLE_UNSURE,
		     (uint32_t)(ev->dur_ns / NS_OF_MS));
}

/* SO_ERROR as the program has got it; 0 where there was none, or it can't be read. */
static int error_that_was_read(const struct event *ev)
{
	int error = 0;

	if (ev->more.value.readable && ev->more.value.len >= sizeof(error))
		memcpy(&error, ev->more.value.bytes, sizeof(error));
	return error;
}

void attempt_of_error(struct event *ev, int handle)
{
	const int error = error_that_was_read(ev);
	const bool ended = ev->sock.state == STATE_CLOSED;
	struct tcp_facts facts;
	struct fd_note note;

	if (!error || !(ended || ev->sock.state == STATE_SYN_SENT))
		return;
	fdtable_about(ev->fd, ev->sock.cookie, &note);
	if (ended)
		fdtable_connect(ev->fd, ev->sock.cookie, 0);
	if (ev->sock.opened == OPENED_BY_PEER || tcp_ask(handle, &facts) < 0 || has_met(&facts))
		return;
	if (!ended) /* ICMP came while a call of the program's was busy with the socket */
		facts.has_heard = false;
	tell(ev, handle, error, &facts, facts.sent ? UNREACHABLE_THERE : UNREACHABLE_UNSURE,
	     since(ev, note.connect_ms));
}

enum attempt_end attempt_unread(int handle, const struct tcp_facts *facts)
{
	int most;

	if (!facts->sent || has_met(facts))
		return ATTEMPT_NONE;
	most = sock_option(handle, IPPROTO_TCP, TCP_USER_TIMEOUT);
	most = most > 0 ? 1 : sock_option(handle, IPPROTO_TCP, TCP_SYNCNT);
	if (most < 0)
		return ATTEMPT_NONE;
	/* Before so many have been sent again, the time is not up (tcp_write_timeout). */
	if (facts->has_heard)
		return facts->retransmits < most ? ATTEMPT_RST : ATTEMPT_RST_OR_TIME;
	return facts->retransmits < most ? ATTEMPT_ICMP : ATTEMPT_TIME;
}

void attempt_of_close(struct event *ev, enum attempt_end end, uint8_t sent, uint32_t connect_ms)
{
	switch (end) {
	case ATTEMPT_NONE:
		return;
	case ATTEMPT_RST:
		tell_refused(ev, NO_HANDLE, REFUSED_BY_RST);
		return;
	case ATTEMPT_RST_OR_TIME:
		tell_refused(ev, NO_HANDLE, REFUSED_OR_LATE);
		return;
	case ATTEMPT_ICMP:
		tell_unreachable(ev, UNREACHABLE_UNREAD);
		return;
	case ATTEMPT_TIME:
		tell_timed_out(ev, TIMED_OUT_UNREAD, sent, since(ev, connect_ms));
		return;
	}
}
