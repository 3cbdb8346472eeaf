/* SPDX-License-Identifier: MIT */
/*
 * note_text.c - see note_text.h.
 */
#include "log/note_text.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/callsite.h"
#include "facts/endpoint.h"
#include "facts/frames.h"
#include "facts/names.h"
#include "facts/settings.h"

const struct note_said *note_said;

static void out_mode(struct out *out, const struct event *ev)
{
	out_str(out, " (TCPSHIM_REUSE=");
	out_str(out, reuse_words[ev->reuse]);
	out_char(out, ')');
}

static void out_enabled(struct out *out, const struct event *ev)
{
	if (ev->prepared & REUSED_ADDR)
		out_str(out, "SO_REUSEADDR");
	if (ev->prepared == (REUSED_ADDR | REUSED_PORT))
		out_str(out, " and ");
	if (ev->prepared & REUSED_PORT)
		out_str(out, "SO_REUSEPORT");
	if (ev->call == CALL_listen || ev->call == CALL_connect) {
		out_str(out, " enabled before ");
		out_str(out, call_name(ev->call));
		out_str(out, ", so that the next run can bind");
	} else if (ev->reuse == REUSE_GENTLE) {
		out_str(out, " enabled after a first EADDRINUSE");
	} else {
		out_str(out, " enabled first");
	}
	out_mode(out, ev);
}

static void out_count(struct out *out, uint64_t n, const char *one, const char *many)
{
	out_u64(out, n);
	out_char(out, ' ');
	out_str(out, n == 1 ? one : many);
}

/* Milliseconds as "1.4 s". */
static void out_seconds(struct out *out, uint64_t ms)
{
	out_u64(out, ms / 1000);
	out_char(out, '.');
	out_u64(out, ms / 100 % 10);
	out_str(out, " s");
}

static void out_lost(struct out *out, const struct event *ev)
{
	out_count(out, ev->figures.lost, "event", "events");
	out_str(out, " before this one could not be written");
}

/* A name that may hold anything, in a sentence that goes into JSON as it is. */
static void out_program(struct out *out, const char *prog)
{
	size_t len;

	for (; *prog; prog += len) {
		len = 0;
		while (prog[len] && prog[len] != '"' && prog[len] != '\\')
			len++;
		out_plain(out, prog, len);
		if (!len)
			out_char(out, '?');
		len += !len;
	}
}

/* "nginx (pid 4242)" */
static void out_process(struct out *out, const struct holders *holders)
{
	out_program(out, holders->prog);
	out_str(out, " (pid ");
	out_i64(out, holders->pid);
	out_char(out, ')');
}

/* Whose it is, or what else is known of the owner. */
static void out_owner(struct out *out, const struct holders *holders)
{
	if (holders->pid) {
		out_str(out, holders->own ? " of this process itself, " : " of ");
		out_process(out, holders);
		return;
	}
	out_str(out, " (socket inode ");
	out_u64(out, holders->inode);
	out_str(out, ", uid ");
	out_u64(out, holders->uid);
	if (holders->brief) {
		out_char(out, ')');
		return;
	}
	if (holders->looked_up) {
		out_str(out, ", in no process that can be seen)");
		return;
	}
	out_str(out, "; the owner was not looked up: tcpshim why ");
	out_u64(out, holders->local.port);
	out_str(out, " does)");
}

/* Of one that was explained briefly. */
static void out_hint(struct out *out, const struct holders *holders)
{
	out_str(out, "; tcpshim why ");
	out_u64(out, holders->local.port);
	out_str(out, " tells more");
}

/* No listener: more was not asked for. */
static void out_brief(struct out *out, const struct holders *holders, const char *who)
{
	out_str(out, "no listener has port ");
	out_u64(out, holders->local.port);
	out_str(out, who);
	out_hint(out, holders);
}

/* As which descriptor it has it, and who has it besides. */
static void out_sharers(struct out *out, const struct holders *holders)
{
	if (holders->own) {
		out_str(out, ", as descriptor ");
		out_i64(out, holders->own_fd);
		if (holders->started_with)
			out_str(out, ", which it was started with");
		out_str(out, holders->others ? "," : "");
	}
	if (holders->others) {
		out_str(out, holders->looked_up ? " and " : " and at least ");
		out_count(out, holders->others, "other", "others");
	}
	if (holders->shared_by_fork)
		out_str(out, ", shared by fork,");
	else if (holders->own)
		out_char(out, ',');
}

/* How it comes that they have it; and what helps. */
static void out_way_out(struct out *out, const struct holders *holders)
{
	if (holders->listen_fds) {
		out_str(out, "; LISTEN_FDS hands it over: take descriptor ");
		out_i64(out, holders->own_fd);
		out_str(out, " instead of a new socket");
		return;
	}
	if (holders->inherited)
		out_str(out, holders->started_with ? "; it was inherited, for it lacks SOCK_CLOEXEC"
						   : "; a program that was executed inherited it, "
						     "for it lacks SOCK_CLOEXEC");
	if (holders->or_inherited) {
		out_str(out, "; where ");
		out_program(out, holders->prog);
		out_str(out, " has not made it, it has inherited it, for it lacks SOCK_CLOEXEC");
	}
	if (holders->others)
		out_str(out, "; it is free when all of them have closed it");
}

static void out_listener(struct out *out, const struct holders *holders)
{
	out_str(out, "a listener on ");
	out_endpoint(out, &holders->local);
	out_owner(out, holders);
	out_sharers(out, holders);
	out_str(out, " has the port");
	if (holders->dual_stack)
		out_str(out,
			holders->local.family == AF_INET6 && endpoint_is_wildcard(&holders->local)
				? "; [::] without IPV6_V6ONLY takes IPv4 too"
				: "; [::] without IPV6_V6ONLY asks for IPv4 too");
	if (holders->had_option)
		out_str(out, "; SO_REUSEADDR never takes it from a live one");
	out_way_out(out, holders);
	if (holders->brief)
		out_hint(out, holders);
}

/* The cure of a port that the kernel chose. */
static void out_reserve(struct out *out, uint16_t port)
{
	out_str(out, "sysctl net.ipv4.ip_local_reserved_ports=");
	out_u64(out, port);
}

/* The cure is the same for one that lives and one that dies. */
static void out_taken(struct out *out, const struct holders *holders)
{
	out_str(out, " took port ");
	out_u64(out, holders->local.port);
	out_str(out, " from the range ");
	out_u64(out, holders->first_port);
	out_char(out, '-');
	out_u64(out, holders->last_port);
	out_str(out, holders->cause == CAUSE_OUTGOING
			     ? "; move the service below it or reserve it: "
			     : " (then move the service below it or "
			       "reserve it: ");
	out_reserve(out, holders->local.port);
	if (holders->cause != CAUSE_OUTGOING)
		out_char(out, ')');
}

bool holders_to_itself(const struct holders *holders)
{
	return holders->peer.port && endpoint_same(&holders->local, &holders->peer);
}

/* A program that tries until somebody listens may meet itself. */
static void out_itself(struct out *out, uint16_t port)
{
	out_str(out, "connected to itself: nobody listened on port ");
	out_u64(out, port);
	out_str(out, ", and the kernel chose that very port as the local one");
}

static void out_bound(struct out *out, const struct holders *holders)
{
	if (holders->brief) {
		out_brief(out, holders, ", so a socket that is bound or a connection has");
		return;
	}
	if (holders->bound) {
		out_str(out, "a socket bound to ");
		out_endpoint(out, &holders->local);
		out_str(out, " that does not listen");
	} else {
		out_str(out, "a live connection ");
		out_endpoint(out, &holders->local);
		out_str(out, " - ");
		out_endpoint(out, &holders->peer);
	}
	out_owner(out, holders);
	out_str(out, " has the port");
	if (holders->bound + holders->live > 1) {
		out_str(out, holders->more ? ", one of at least " : ", one of ");
		out_u64(out, holders->bound + holders->live);
	}
	if (holders->dying) {
		out_str(out, ", or ");
		out_count(out, holders->dying, "dying connection", "dying connections");
	}
	if (holders_to_itself(holders) && holders->cause != CAUSE_OUTGOING)
		out_str(out, "; it is connected to itself");
	if (holders_to_itself(holders) && holders->cause == CAUSE_OUTGOING) {
		out_str(out, "; it is ");
		out_itself(out, holders->local.port);
	}
	if (holders->cause == CAUSE_OUTGOING) {
		out_str(out, "; as an outgoing connection it");
		out_taken(out, holders);
	}
}

/* What made them, and what helps. */
static void out_cause(struct out *out, const struct holders *holders)
{
	switch ((enum dying_cause)holders->cause) {
	case CAUSE_OUTGOING:
		out_str(out, ": an outgoing connection to ");
		out_endpoint(out, &holders->peer);
		if (holders_to_itself(holders))
			out_str(out, ", that is to itself,");
		out_taken(out, holders);
		return;
	case CAUSE_EITHER:
		out_str(out, holders->had_option ? ", made without SO_REUSEADDR: a run without "
						   "the shim left it, or an outgoing connection"
						 : "; with SO_REUSEADDR the bind would probably "
						   "work, unless an outgoing connection");
		out_taken(out, holders);
		return;
	case CAUSE_NO_SHIM:
		out_str(out, ", made without SO_REUSEADDR, as a run without the shim leaves it");
		return;
	case CAUSE_UNKNOWN:
		out_str(out, holders->had_option ? ", made without SO_REUSEADDR"
						 : "; with SO_REUSEADDR the bind would probably "
						   "work");
		return;
	}
}

static void out_dying(struct out *out, const struct holders *holders)
{
	if (holders->brief) {
		out_brief(out, holders, "; a moment ago dying connections had");
		return;
	}
	if (holders->dying == 1) {
		out_str(out, "1 ");
		out_str(out, state_name((enum tcp_state_id)holders->state));
		out_str(out, " connection holds port ");
	} else {
		out_count(out, holders->dying, "", "dying connections hold port ");
	}
	out_u64(out, holders->local.port);
	if (holders->longest_ms) {
		out_str(out, " for ");
		out_seconds(out, holders->longest_ms);
		out_str(out, holders->dying == 1 ? " more" : " more at most");
	}
	if (holders->without_end && (holders->dying > 1 || !holders->longest_ms)) {
		out_str(out, ", ");
		out_u64(out, holders->without_end);
		out_str(out, " of them until the peer has answered");
	}
	out_str(out, holders->dying == 1 ? " (peer " : " (the last with peer ");
	out_endpoint(out, &holders->peer);
	out_char(out, ')');
	out_cause(out, holders);
}

static void out_waiting(struct out *out, const struct holders *holders)
{
	out_str(out, "waiting until ");
	out_u64(out, holders->dying);
	out_str(out,
		holders->dying == 1 ? " dying connection on port " : " dying connections on port ");
	out_u64(out, holders->local.port);
	out_str(out, holders->dying == 1 ? " is gone" : " are gone");
	out_str(out, ", for ");
	out_seconds(out, holders->longest_ms);
	out_str(out, " at most (TCPSHIM_WAIT)");
}

static void out_waited(struct out *out, const struct event *ev)
{
	out_str(out, ev->error ? "gave up after waiting " : "waited ");
	out_seconds(out, ev->figures.waited_ms);
	out_str(out, ev->error ? " for dying connections" : " until dying connections were gone");
	if (ev->figures.wait_interrupted)
		out_str(out, ", interrupted by a signal");
	out_str(out, " (TCPSHIM_WAIT)");
}

/* What the figures call for. A client that binds takes the port from all other peers. */
static void out_more_ports(struct out *out, const struct event *ev)
{
	const struct holders *holders = &ev->more.holders;

	if (ev->call == CALL_bind)
		out_str(out,
			"; where a connect follows, IP_BIND_ADDRESS_NO_PORT set before the bind "
			"lets connections to different peers share a port");
	if (holders->dying > holders->taken / 2)
		out_str(out, "; a connection that is kept and used again leaves no TIME_WAIT");
	else if (ev->call == CALL_connect)
		out_str(out, "; another port or address of the peer, or a wider range, has more");
}

static void out_exhausted(struct out *out, const struct event *ev)
{
	const struct holders *holders = &ev->more.holders;

	out_str(out, holders->taken ? "no free local port: of " : "no free local port of ");
	out_u64(out, holders->first_port);
	out_str(out, " to ");
	out_u64(out, holders->last_port);
	out_str(out, " (net.ipv4.ip_local_port_range)");
	if (!holders->taken) {
		out_str(out, ", as was counted less than a second ago");
		return;
	}
	out_char(out, ' ');
	out_u64(out, holders->taken);
	out_str(out, " are taken");
	if (holders->dying) {
		out_str(out, holders->more ? ", at least " : ", ");
		out_u64(out, holders->dying);
		out_str(out, " by TIME_WAIT");
		if (holders->peer.port) {
			out_str(out, " of connections to ");
			out_endpoint(out, &holders->peer);
		}
	}
	out_more_ports(out, ev);
}

static void out_not_local(struct out *out, const struct event *ev)
{
	out_str(out, "no interface here has the address of ");
	out_endpoint(out, &ev->sock.local);
	if (ev->sock.local.family == AF_INET6)
		out_str(out, ", or it is not ready yet");
}

static void out_privileged(struct out *out, const struct event *ev)
{
	out_str(out, "port ");
	out_u64(out, ev->sock.local.port);
	out_str(out, " is below ");
	out_u64(out, ev->figures.first_port);
	out_str(out, " (net.ipv4.ip_unprivileged_port_start) "
		     "and the process lacks CAP_NET_BIND_SERVICE");
}

static void out_reset(struct out *out, const struct note_figures *figures)
{
	switch (figures->reset_cause) {
	case RESET_UNREAD:
		out_count(out, figures->unread, "byte was", "bytes were");
		out_str(out, " not read, so the kernel sent RST");
		break;
	case RESET_LINGER:
		out_str(out, "SO_LINGER with 0 seconds made the kernel send RST");
		break;
	default:
		out_str(out, "TCP_LINGER2 below 0 made the kernel send RST "
			     "instead of waiting for the peer's FIN");
		return;
	}
	out_str(out, figures->after_fin ? ", after its FIN" : " instead of FIN");
}

static void out_queue_reset(struct out *out, uint32_t connections)
{
	out_str(out, "up to ");
	out_count(out, connections, "connection that nobody had accepted is dropped with it, ",
		  "connections that nobody had accepted are dropped with it, ");
	out_str(out, connections == 1 ? "by RST if it is alive" : "those still alive by RST");
}

/* By what a socket is open that has been closed, as far as that was seen. */
static void out_keeper(struct out *out, const struct holders *holders, uint16_t port)
{
	if (holders->own) {
		out_str(out, "as descriptor ");
		out_i64(out, holders->own_fd);
		out_str(out, " of this process, ");
		out_process(out, holders);
	} else if (holders->tid) {
		out_str(out, "by a call of thread ");
		out_i64(out, holders->tid);
		out_str(out, " of this process, ");
		out_process(out, holders);
		out_str(out, ", that is blocked on it "
			     "(shutdown(fd, SHUT_RDWR) before close ends that)");
	} else if (holders->pid) {
		out_str(out, "in ");
		out_process(out, holders);
	} else {
		out_str(out, holders->looked_up ? "in no process that can be seen (socket inode "
						: "elsewhere (socket inode ");
		out_u64(out, holders->inode);
		out_str(out, ", uid ");
		out_u64(out, holders->uid);
		if (!holders->looked_up) {
			out_str(out, "; tcpshim why ");
			out_u64(out, port);
			out_str(out, " tells where");
		}
		out_char(out, ')');
	}
}

static void out_still_open(struct out *out, const struct event *ev)
{
	const struct holders *holders = &ev->more.holders;

	out_str(out, "open still ");
	out_keeper(out, holders, ev->sock.local.port);
	switch ((enum tcp_state_id)ev->sock.state) {
	case STATE_LISTEN:
		out_str(out, ", so it goes on listening");
		return;
	case STATE_CLOSED:
		out_str(out, ", so it keeps its port");
		return;
	default:
		out_str(out, ", so this close sent nothing");
		if (holders->fin_sent)
			out_str(out, "; the FIN went before, by a shutdown");
		return;
	}
}

void out_frame(struct out *out, const struct frame *frame)
{
	if (frame->symbol[0]) {
		out_program(out, frame->symbol);
		out_str(out, "+0x");
		out_hex(out, frame->symbol_offset);
		out_str(out, " (");
	}
	out_program(out, frame->module);
	out_str(out, " 0x");
	out_hex(out, frame->offset);
	if (frame->symbol[0])
		out_char(out, ')');
}

/* The nearest frame of a stack, where it is known. */
static void out_place(struct out *out, uint32_t stack)
{
	uint64_t number;
	const struct frame *frame = NULL;

	if (callsite_frame(stack, 0, &number))
		frame = frames_at(number);
	if (!frame)
		return;
	out_str(out, " at ");
	out_frame(out, frame);
}

static void out_double_close(struct out *out, const struct event *ev)
{
	const struct note_figures *figures = &ev->figures;

	out_str(out, figures->closed_other
			     ? "not open: once a TCP socket, then something else, it was closed "
			     : "not open: as a TCP socket it was closed ");
	out_u64(out, figures->closed_ago_ns / 1000000000u);
	out_char(out, '.');
	out_padded(out, figures->closed_ago_ns / 1000 % 1000000, 6);
	out_str(out, " s ago by ");
	out_str(out, call_name((enum call_id)figures->closed_call));
	out_str(out, " in thread ");
	out_i64(out, figures->closed_by);
	out_place(out, figures->closed_at);
}

static void out_sockets(struct out *out, const struct descriptors *descriptors)
{
	out_str(out, "; at least ");
	out_count(out, descriptors->tcp_at_least, "is a TCP socket", "are TCP sockets");
	if (descriptors->tcp_at_least <= 2 || descriptors->mostly == STATE_UNKNOWN)
		return;
	out_str(out, ", most of them in ");
	out_str(out, state_name((enum tcp_state_id)descriptors->mostly));
	if (descriptors->mostly == STATE_CLOSE_WAIT)
		out_str(out, ": their peers have closed, the program has not");
}

static void out_no_descriptors(struct out *out, const struct event *ev)
{
	const struct descriptors *descriptors = &ev->more.descriptors;

	if (ev->error == ENFILE) {
		out_str(out, "the system has no room for another open file (fs.file-max");
		if (descriptors->limit) {
			out_str(out, " is ");
			out_u64(out, descriptors->limit);
		}
		out_char(out, ')');
	} else {
		out_str(out, "no descriptor is free");
		if (ev->call == CALL_fcntl && ev->args.fcntl.newfd > 0) {
			out_str(out, " from ");
			out_i64(out, ev->args.fcntl.newfd);
			out_str(out, " up");
		}
		if (descriptors->limit) {
			out_str(out, " below the limit of ");
			out_u64(out, descriptors->limit);
		}
		out_str(out, " (RLIMIT_NOFILE: ulimit -n, in a unit LimitNOFILE=)");
	}
	if (descriptors->tcp_at_least)
		out_sockets(out, descriptors);
	if (descriptors->queued) {
		out_str(out, "; ");
		out_count(out, descriptors->queued, "connection waits", "connections wait");
		out_str(out, " to be accepted");
	}
}

static void out_dropped(struct out *out, uint32_t dropped)
{
	out_count(out, dropped, "segment was", "segments were");
	out_str(out, " dropped at this listener since the last look at it");
}

static void out_backlog_full(struct out *out, const struct note_figures *figures)
{
	const bool full = figures->queued > figures->backlog;

	if (full) {
		out_str(out, "the accept queue is full, and new connections are dropped: ");
	} else {
		out_dropped(out, figures->dropped);
		out_str(out, ", probably because the accept queue was full: now ");
	}
	out_count(out, figures->queued, "waits", "wait");
	out_str(out, " in it, with a backlog of ");
	out_u64(out, figures->backlog);
	if (full && figures->dropped) {
		out_str(out, "; ");
		out_dropped(out, figures->dropped);
	}
	out_str(out, "; accept faster, or listen with a larger backlog");
}

static void out_backlog_cut(struct out *out, const struct event *ev)
{
	out_str(out, "the backlog of ");
	out_u64(out, (uint32_t)ev->args.backlog);
	out_str(out, " is cut to ");
	out_u64(out, ev->figures.backlog);
	out_str(out, " by net.core.somaxconn of its network namespace: "
		     "raise that by sysctl, and listen again");
}

static void out_not_listening(struct out *out, const struct event *ev)
{
	if (ev->figures.earlier)
		out_str(out, "it was a listener and has been shut down: "
			     "it listens no more until listen is called again");
	else if (ev->sock.state != STATE_CLOSED)
		out_str(out, "it is a connection, not a listener");
	else
		out_str(out, "it does not listen: listen was not called on it, or it has been "
			     "shut down since; listen comes before accept");
}

static void out_shared_port(struct out *out, const struct holders *holders)
{
	out_str(out, "SO_REUSEPORT shares the port with ");
	out_count(out, holders->listeners, "other listener", "other listeners, one");
	out_owner(out, holders);
	out_str(out, "; the kernel spreads new connections over all that listen on one address");
}

static void out_self_connect(struct out *out, const struct event *ev)
{
	const uint16_t port = ev->sock.local.port;

	if (ev->figures.connect_how == SELF_BOUND) {
		out_str(out, "connected to itself: the socket was bound to port ");
		out_u64(out, port);
		out_str(out, ", which it was to reach");
		return;
	}
	out_itself(out, port);
	out_str(out, "; the server may find it in use: keep it below the range of such ports, or "
		     "reserve it: ");
	out_reserve(out, port);
}

static void out_address_taken(struct out *out, const struct holders *holders)
{
	out_str(out, "that very connection exists already: ");
	out_endpoint(out, &holders->local);
	out_str(out, " - ");
	out_endpoint(out, &holders->peer);
	if (holders->state != STATE_UNKNOWN) {
		out_str(out, ", in ");
		out_str(out, state_name((enum tcp_state_id)holders->state));
	}
	if (holders->pid || holders->inode) {
		if (holders->pid)
			out_char(out, ',');
		out_owner(out, holders);
	} else {
		out_str(out, ", which no process has open any more");
	}
	if (holders->had_option)
		out_str(out, "; bind had let the port pass for SO_REUSEADDR");
	out_str(out, "; unbound, the kernel would choose one that is free");
}

static void out_peer(struct out *out, const struct event *ev)
{
	if (ev->figures.earlier)
		out_str(out, "the peer of the connect before, whose end this one tells");
	else if (ev->sock.peer.family)
		out_endpoint(out, &ev->sock.peer);
	else
		out_str(out, "the peer");
}

static void out_refused(struct out *out, const struct event *ev)
{
	const struct note_figures *figures = &ev->figures;

	if (figures->connect_how == REFUSED_BY_ICMP) {
		out_str(out, "ICMP (port unreachable) and no RST came back from ");
		out_peer(out, ev);
		out_str(out, ": a firewall rejects it");
		return;
	}
	out_str(out, figures->connect_how == REFUSED_UNKNOWN ? "RST or ICMP came back from "
							     : "RST came back from ");
	out_peer(out, ev);
	if (figures->connect_how == REFUSED_OR_LATE)
		out_str(out, ", or too late an answer");
	out_str(out, figures->bound_here
			     ? ": a socket is bound there, on this machine, and does not listen"
			     : ": nobody listens there, or a firewall rejects it");
}

/* The kernel's own, where there is no way from here. */
static bool may_be_of_route(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH;
}

/* TCP has no connections to many at once: the kernel says of these what it says of no route. */
static void out_no_route(struct out *out, int error)
{
	out_str(out, "this machine has no route there (see ip route)");
	if (error == ENETUNREACH)
		out_str(out, ", or it is a broadcast or multicast address");
}

/* What the error can mean, if it is known. */
static void out_unreachable(struct out *out, const struct event *ev, int error)
{
	const uint8_t how = ev->figures.connect_how;

	if (how == UNREACHABLE_UNREAD) {
		out_str(out, "ICMP ended the attempt to reach ");
		out_peer(out, ev);
		out_str(out, ", which is unreachable or rejected by a firewall, or somebody on "
			     "this machine did (ss -K); which, only the error tells, and no call "
			     "that is seen has read it");
		return;
	}
	out_str(out, "no way to ");
	out_peer(out, ev);
	out_str(out, ": ");
	if (how != UNREACHABLE_THERE)
		out_no_route(out, error);
	if (how == UNREACHABLE_HERE) {
		out_str(out, ", and nothing was sent");
		return;
	}
	out_str(out, how == UNREACHABLE_UNSURE ? ", or a router or firewall said so by ICMP"
					       : "a router or firewall said so by ICMP");
	if (error == EHOSTUNREACH)
		out_str(out, ", or the next host on the way does not answer");
	if (how == UNREACHABLE_THERE && may_be_of_route(error))
		out_str(out, ", or this machine has lost its route there since the first SYN");
}

static void out_timed_out(struct out *out, const struct event *ev)
{
	const struct note_figures *figures = &ev->figures;

	out_count(out, figures->syns, "SYN", "SYNs");
	out_str(out, " to ");
	out_peer(out, ev);
	if (figures->over_ms) {
		out_str(out, " within ");
		out_seconds(out, figures->over_ms);
	}
	switch ((enum timed_out_how)figures->connect_how) {
	case TIMED_OUT_UNKNOWN:
		out_str(out, ", and no answer");
		break;
	case TIMED_OUT_SILENT:
		out_str(out, ", and nothing came back");
		break;
	case TIMED_OUT_HEARD:
		out_str(out, ", and what came back was no answer");
		break;
	case TIMED_OUT_UNREAD:
		out_str(out, ", and nothing came back, unless ICMP at the end");
		break;
	}
	out_str(out, ": the host is down, a firewall drops them, or a listener's backlog is full");
}

/* Of a connect that has failed, or of what getsockopt(SO_ERROR) has read; 0: not known. */
static int failed_with(const struct event *ev)
{
	int error = ev->error;

	if (ev->call == CALL_getsockopt && ev->more.value.len >= sizeof(error))
		memcpy(&error, ev->more.value.bytes, sizeof(error));
	return error;
}

static void out_failed(struct out *out, enum note_id note, const struct event *ev)
{
	if (note == NOTE_REFUSED)
		out_refused(out, ev);
	else if (note == NOTE_UNREACHABLE)
		out_unreachable(out, ev, failed_with(ev));
	else
		out_timed_out(out, ev);
	if (ev->sock.state == STATE_SYN_SENT)
		out_str(out, "; the kernel goes on trying");
}

void out_note(struct out *out, enum note_id note, const struct event *ev)
{
	const struct note_figures *figures = &ev->figures;

	if (note_said && note_said->text[note]) {
		out_program(out, note_said->text[note]);
		return;
	}
	switch (note) {
	case NOTE_REUSE_ENABLED:
		out_enabled(out, ev);
		return;
	case NOTE_REUSE_RESPECTED:
		out_str(out, "SO_REUSEADDR left off, because the program itself set it to 0");
		out_mode(out, ev);
		return;
	case NOTE_REUSE_TOO_LATE:
		out_str(out, "this socket is bound already: "
			     "SO_REUSEADDR comes too late for this bind");
		return;
	case NOTE_IN_USE_LISTENER:
		out_listener(out, &ev->more.holders);
		return;
	case NOTE_IN_USE_BOUND:
		out_bound(out, &ev->more.holders);
		return;
	case NOTE_IN_USE_DYING:
		out_dying(out, &ev->more.holders);
		return;
	case NOTE_WAITING:
		out_waiting(out, &ev->more.holders);
		return;
	case NOTE_WAITED:
		out_waited(out, ev);
		return;
	case NOTE_PORTS_EXHAUSTED:
		out_exhausted(out, ev);
		return;
	case NOTE_NOT_LOCAL:
		out_not_local(out, ev);
		return;
	case NOTE_PRIVILEGED_PORT:
		out_privileged(out, ev);
		return;
	case NOTE_RESET:
		out_reset(out, figures);
		return;
	case NOTE_PEER_RESET:
		out_str(out, figures->retransmits ? "the connection was over before this call, "
						    "by a timeout or a reset by the peer"
						  : "the connection was over before this call: "
						    "reset by the peer");
		return;
	case NOTE_QUEUE_RESET:
		out_queue_reset(out, figures->queued);
		return;
	case NOTE_STILL_OPEN:
		out_still_open(out, ev);
		return;
	case NOTE_HALF_CLOSED:
		out_str(out, "half-closed: a FIN follows what was sent, and this end can "
			     "still receive");
		return;
	case NOTE_NO_WIRE_EFFECT:
		out_str(out, "SHUT_RD sends nothing to the peer and changes no state");
		return;
	case NOTE_DOUBLE_CLOSE:
		out_double_close(out, ev);
		return;
	case NOTE_CLOSE_WAIT:
		out_str(out, "the peer had closed at least ");
		out_seconds(out, figures->close_wait_ms);
		out_str(out, " before; until now the program kept the connection in CLOSE_WAIT");
		return;
	case NOTE_SANDBOXED:
		out_str(out, "the program installs a seccomp filter; "
			     "from here on the shim steps aside, unless that fails");
		return;
	case NOTE_LOST_EVENTS:
		out_lost(out, ev);
		return;
	case NOTE_NO_DESCRIPTORS:
		out_no_descriptors(out, ev);
		return;
	case NOTE_BACKLOG_FULL:
		out_backlog_full(out, figures);
		return;
	case NOTE_BACKLOG_CUT:
		out_backlog_cut(out, ev);
		return;
	case NOTE_NOT_LISTENING:
		out_not_listening(out, ev);
		return;
	case NOTE_SHARED_PORT:
		out_shared_port(out, &ev->more.holders);
		return;
	case NOTE_ADDRESS_TAKEN:
		out_address_taken(out, &ev->more.holders);
		return;
	case NOTE_SELF_CONNECT:
		out_self_connect(out, ev);
		return;
	case NOTE_REFUSED:
	case NOTE_UNREACHABLE:
	case NOTE_TIMED_OUT:
		out_failed(out, note, ev);
		return;
	case NOTE_COUNT:
		return;
	}
}
