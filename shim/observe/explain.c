/* SPDX-License-Identifier: MIT */
/*
 * explain.c - see explain.h.
 */
#include "observe/explain.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "facts/shim.h"
#include "observe/bound.h"
#include "observe/choices.h"
#include "observe/conflict.h"
#include "observe/diag.h"
#include "observe/explain_ports.h"
#include "observe/fdtable.h"
#include "observe/proc.h"
#include "observe/subject.h"
#include "observe/tcp_state.h"
#include "observe/turns.h"
#include "sys/apart.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

/* A port may have so many connections that to see them all takes longer than the user waits. */
enum { MOST_MS = 25, FEW = 1000, OUT_OF_TIME = 1 };

enum { BOUND_INACTIVE = 13 }; /* TCP_BOUND_INACTIVE: bound and nothing else */

struct inquiry {
	struct asker asks;
	uint64_t deadline_ns;
	uint32_t seen;
	struct holders holders;
	bool find_owner;
	bool may_open; /* in a helper: sockets of its own, and /proc */
	bool complete;
};

/* Not in little room; and not of what is in a namespace where we can't ask. */
static bool can_explain(void)
{
	return !sys_on_alternate_stack() && !subject_is_elsewhere();
}

static int visit_holder(const struct diag_sock *sock, void *arg)
{
	struct inquiry *inquiry = arg;

	/* Sockets that are bound and nothing else come whatever port was asked for. */
	if (sock->cookie != inquiry->asks.cookie &&
	    sock->local.port == inquiry->asks.sock.local.port)
		conflict_count(&inquiry->holders, &inquiry->asks.sock, sock);
	if (++inquiry->seen < FEW || clock_ns(CLOCK_MONOTONIC) < inquiry->deadline_ns)
		return 0;
	inquiry->holders.more = true;
	return OUT_OF_TIME;
}

/* All on the port in these states, of both families. */
static bool ask_port(struct inquiry *inquiry, uint32_t kernel_states)
{
	const struct diag_scope scope = {
		.netns = inquiry->asks.netns,
		.protocol = IPPROTO_TCP,
		.family = AF_UNSPEC,
		.port = inquiry->asks.sock.local.port,
		.kernel_states = kernel_states,
	};
	const int rc = inquiry->may_open ? diag_dump(&scope, visit_holder, inquiry)
					 : diag_dump_kept(&scope, visit_holder, inquiry);

	return rc == 1; /* complete, or OUT_OF_TIME */
}

static void forget(struct inquiry *inquiry)
{
	inquiry->holders = (struct holders){.had_option = inquiry->asks.sock.reuseaddr};
}

/*
 * A listener that is certainly in the way is the answer, and to find it the kernel
 * need not walk over all connections of the machine.
 */
static bool ask_for_holders(struct inquiry *inquiry)
{
	if (!ask_port(inquiry, 1u << TCP_LISTEN))
		return false;
	if (inquiry->holders.listeners && !inquiry->holders.unsure)
		return true;
	forget(inquiry);
	if (inquiry->may_open)
		proc_port_range(&inquiry->holders.first_port, &inquiry->holders.last_port);
	return ask_port(inquiry, ~0u);
}

static int listen_fds(void)
{
	return subject ? subject->listen_fds : shim.listen_fds;
}

static bool was_open_at_load(int number)
{
	return subject ? number < subject->first_free : own_was_open_at_load(number);
}

/*
 * The caller itself. Started with it is who has the number since it was started, as far as is
 * known, and was never seen to use it; for some are closed and given again.
 */
static void name_own(struct holders *holders, const struct proc_owner *owner)
{
	enum { FIRST_HANDED_OVER = 3 }; /* sd_listen_fds(3) */

	holders->own = true;
	holders->own_fd = owner->fd;
	holders->listen_fds =
		owner->fd >= FIRST_HANDED_OVER && owner->fd - FIRST_HANDED_OVER < listen_fds();
	holders->started_with = owner->outlives_exec && was_open_at_load(owner->fd) &&
				!fdtable_get(owner->fd).cookie;
	holders->inherited |= holders->started_with;
}

/* One that has it is enough. */
static void name_owner(struct holders *holders)
{
	struct proc_owner owner = {.looked_up = true};

	if (holders->inode)
		proc_find_keeper(holders->inode, -1, &owner);
	holders->looked_up = owner.looked_up;
	sharing_name(holders, owner.pid, owner.prog);
}

/* All that have it, and how they came to it. */
static void name_owners(struct holders *holders)
{
	struct proc_owner owner = {.looked_up = true};

	if (holders->inode)
		proc_find_owner(holders->inode, &owner);
	holders->looked_up = owner.looked_up;
	sharing_name(holders, owner.pid, owner.prog);
	sharing_tell(holders, owner.others, owner.shared);
	if (owner.pid && owner.pid == subject_pid())
		name_own(holders, &owner);
	if (holders->own || strncmp(owner.prog, subject_prog(), sizeof(owner.prog)) == 0)
		holders->or_inherited = false;
}

void explain_asker(int handle, const struct endpoint *asked, bool listens, struct asker *ret)
{
	*ret = (struct asker){
		.sock = {.local = *asked, .state = listens ? STATE_LISTEN : STATE_CLOSED},
		.cookie = sock_cookie(handle),
		.netns = sock_netns(handle),
	};
	bound_ask(handle, &ret->sock);
}

/* Of which nothing is known so far, but who asks. */
static void begin_inquiry(struct inquiry *inquiry)
{
	inquiry->deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000);
	forget(inquiry);
}

static void begin_inquiry_of(struct inquiry *inquiry, int handle, const struct endpoint *asked,
			     bool listens)
{
	*inquiry = (struct inquiry){0};
	explain_asker(handle, asked, listens, &inquiry->asks);
	begin_inquiry(inquiry);
}

static void inquire(void *arg)
{
	struct inquiry *inquiry = arg;

	inquiry->may_open = true;
	inquiry->complete = ask_for_holders(inquiry);
	if (inquiry->complete && inquiry->find_owner)
		name_owners(&inquiry->holders);
}

static bool find_holders(struct inquiry *inquiry, struct holders *ret)
{
	if (!inquiry->asks.sock.local.family)
		return false;
	/* Without a helper: what the sockets that are kept can tell. */
	if (!apart_run(inquire, inquiry, sizeof(*inquiry)))
		inquiry->complete = ask_for_holders(inquiry);
	*ret = inquiry->holders;
	return inquiry->complete;
}

bool explain_holders(const struct asker *asks, struct holders *ret)
{
	struct inquiry inquiry = {.asks = *asks};

	if (subject_is_elsewhere())
		return false;
	begin_inquiry(&inquiry);
	return find_holders(&inquiry, ret);
}

uint32_t explain_nap_ms(const struct asker *asks, uint32_t left_ms, struct holders *ret)
{
	enum { LONGEST_NAP = 1000, NAP_WITHOUT_END = 100, AFTER = 5 };
	uint32_t nap;

	if (!explain_holders(asks, ret) || ret->more)
		return 0;
	/* None left is no reason to stop: the last one may just have gone. */
	if (conflict_note(ret) != NOTE_IN_USE_DYING && conflict_note(ret) != NOTE_COUNT)
		return 0;
	nap = ret->longest_ms && !ret->without_end ? ret->longest_ms + AFTER : NAP_WITHOUT_END;
	if (nap > LONGEST_NAP)
		nap = LONGEST_NAP;
	return nap < left_ms ? nap : left_ms;
}

/* What a turn keeps: two numbers. */
static uint32_t pair_of(uint16_t high, uint16_t low)
{
	return (uint32_t)high << 16 | low;
}

/* Of a port without a listener: that of it which was known a moment ago. */
static enum note_id note_without_listener(uint16_t port, uint32_t known)
{
	return known == pair_of(port, NOTE_IN_USE_DYING) ? NOTE_IN_USE_DYING : NOTE_IN_USE_BOUND;
}

static void inquire_listeners(void *arg)
{
	struct inquiry *inquiry = arg;

	inquiry->may_open = true;
	inquiry->complete = ask_port(inquiry, 1u << TCP_LISTEN);
}

/*
 * By listeners alone, for which the kernel need not walk over all its sockets. Apart from
 * its caller, whose other way goes deep.
 */
__attribute__((noinline)) static enum note_id explain_briefly(struct event *ev, int handle,
							      const struct endpoint *at,
							      bool listens, uint32_t known)
{
	struct holders *holders = &ev->more.holders;
	struct inquiry inquiry;

	begin_inquiry_of(&inquiry, handle, at, listens);
	if (!ask_port(&inquiry, 1u << TCP_LISTEN) &&
	    (!apart_run(inquire_listeners, &inquiry, sizeof(inquiry)) || !inquiry.complete))
		return NOTE_COUNT;
	*holders = inquiry.holders;
	holders->brief = true;
	if (holders->listeners)
		return holders->unsure ? NOTE_COUNT : NOTE_IN_USE_LISTENER;
	holders->local.port = at->port;
	return note_without_listener(at->port, known);
}

/* Apart from its caller, as the other way is. */
__attribute__((noinline)) static enum note_id
explain_in_full(struct event *ev, int handle, const struct endpoint *at, bool listens)
{
	struct holders *holders = &ev->more.holders;
	struct inquiry inquiry;

	begin_inquiry_of(&inquiry, handle, at, listens);
	inquiry.find_owner = true;
	if (!find_holders(&inquiry, holders))
		return NOTE_COUNT;
	holders->had_option |= ev->tried_reuse;
	conflict_cause(holders);
	return conflict_note(holders);
}

/* A program that looks for a free port meets a thousand that are not. */
static void explain_in_use(struct event *ev, int handle, const struct endpoint *at, bool listens)
{
	enum note_id note;
	uint32_t known;

	if (turn_take(&this_process.explained, TURN_MS, ev, &known)) {
		note = explain_in_full(ev, handle, at, listens);
		turn_keep(&this_process.explained, pair_of(at->port, (uint16_t)note));
	} else {
		note = explain_briefly(ev, handle, at, listens, known);
	}
	if (note != NOTE_COUNT)
		ev->notes |= NOTE_BIT(note);
}

/* Of a port that is shared: a server may have hundreds of sockets there, and each asks for all. */
static _Atomic(uint64_t) spent_on_sharers, spent_on_their_owner;

static void list_in_passing(struct inquiry *inquiry)
{
	const uint64_t begun_ns = spending_begin(&spent_on_sharers);

	if (!begun_ns)
		return;
	inquiry->complete = ask_port(inquiry, 1u << TCP_LISTEN);
	spending_end(&spent_on_sharers, begun_ns);
}

static void name_owner_in_passing(struct holders *holders)
{
	const uint64_t begun_ns = spending_begin(&spent_on_their_owner);

	if (!begun_ns)
		return;
	name_owner(holders);
	spending_end(&spent_on_their_owner, begun_ns);
}

/* Not where nobody has turned it on here: then it is not even asked for. */
static bool has_reuseport(int handle)
{
	const bool would_be_seen = shim.hooks_at_load & CALL_BIT(CALL_setsockopt);

	if (would_be_seen && !shim.set.reuseport &&
	    !atomic_load_explicit(&choices_reuseport, memory_order_relaxed))
		return false;
	return sock_option(handle, SOL_SOCKET, SO_REUSEPORT) > 0;
}

static void inquire_sharers(void *arg)
{
	struct inquiry *inquiry = arg;

	inquiry->may_open = true;
	list_in_passing(inquiry);
	if (inquiry->complete && inquiry->holders.listeners)
		name_owner_in_passing(&inquiry->holders);
}

/*
 * Which listeners would have refused it, had it and they not all SO_REUSEPORT? Of an MPTCP socket
 * the kernel shows its subflow, which can't be told from another's.
 */
void explain_shared(struct event *ev, int handle)
{
	struct inquiry inquiry;

	if (!ev->sock.local.port || !has_reuseport(handle) || !can_explain() ||
	    sock_option(handle, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
	    !spending_begin(&spent_on_sharers))
		return;
	begin_inquiry_of(&inquiry, handle, &ev->sock.local, ev->call == CALL_listen);
	if (!apart_run(inquire_sharers, &inquiry, sizeof(inquiry)))
		list_in_passing(&inquiry);
	if (!inquiry.complete || !inquiry.holders.listeners)
		return;
	ev->more.holders = inquiry.holders;
	ev->notes |= NOTE_BIT(NOTE_SHARED_PORT);
}

static bool may_bind_privileged(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
		.pid = subject ? subject->pid : 0,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return SYS3(SYS_capget, &head, data, 0) < 0 ||
	       (data[0].effective & 1u << CAP_NET_BIND_SERVICE);
}

static void read_first_unprivileged(void *arg)
{
	uint32_t *ret = arg;

	if (!proc_numbers("/proc/sys/net/ipv4/ip_unprivileged_port_start", ret, 1))
		*ret = 0;
}

static void explain_privileged(struct event *ev, const struct endpoint *asked)
{
	uint32_t first;

	if (may_bind_privileged())
		return;
	first = turn_read(&this_process.privileged, ev, read_first_unprivileged);
	if (asked->port >= first)
		return;
	ev->notes |= NOTE_BIT(NOTE_PRIVILEGED_PORT);
	ev->figures.first_port = (uint16_t)first;
}

void explain_bind(struct event *ev, int handle, const struct endpoint *asked)
{
	if (!asked->family || !can_explain())
		return;
	switch (ev->error) {
	case EADDRINUSE:
		if (asked->port)
			explain_in_use(ev, handle, asked, false);
		else
			explain_exhausted(ev, handle);
		return;
	case EADDRNOTAVAIL:
		ev->notes |= NOTE_BIT(NOTE_NOT_LOCAL);
		return;
	case EACCES:
		explain_privileged(ev, asked);
		return;
	}
}

void explain_listen(struct event *ev, int handle, const struct endpoint *local)
{
	if (ev->error != EADDRINUSE || !can_explain())
		return;
	if (local->port)
		explain_in_use(ev, handle, local, true);
	else
		explain_exhausted(ev, handle); /* listen binds to port 0 what was not bound */
}

enum { SAME_TUPLE = 2 }; /* what ends the walk; 1 is that it is complete */

struct same_tuple {
	const struct sock_view *ours;
	struct diag_sock found;
	uint64_t netns, deadline_ns;
	uint32_t ifindex, seen;
	struct holders owner;
	bool known;
};

static int visit_same_tuple(const struct diag_sock *sock, void *arg)
{
	struct same_tuple *same = arg;

	if (endpoint_same(&sock->peer, &same->ours->peer) &&
	    sock->local.port == same->ours->local.port && sock->cookie != same->ours->cookie) {
		same->found = *sock;
		return SAME_TUPLE;
	}
	if (++same->seen < FEW || clock_ns(CLOCK_MONOTONIC) < same->deadline_ns)
		return 0;
	return -ETIME;
}

/*
 * Find the connection that has both addresses. Bound to a wildcard, the local one is not known
 * any more: then it is the one with our port and that peer.
 */
static bool find_same_tuple(struct same_tuple *same)
{
	const uint32_t connections = ~(1u << TCP_LISTEN | 1u << TCP_CLOSE | 1u << BOUND_INACTIVE);
	const struct diag_id id = {
		.cookie = DIAG_ANY_COOKIE,
		.netns = same->netns,
		.local = same->ours->local,
		.peer = same->ours->peer,
		.protocol = IPPROTO_TCP,
		.ifindex = same->ifindex,
	};
	const struct diag_scope scope = {
		.netns = same->netns,
		.protocol = IPPROTO_TCP,
		.family = AF_UNSPEC,
		.port = id.local.port,
		.kernel_states = connections,
	};

	if (!endpoint_is_wildcard(&id.local) && diag_find_exact_afresh(&id, &same->found) == 1)
		return true;
	return diag_dump(&scope, visit_same_tuple, same) == SAME_TUPLE;
}

static void search_same_tuple(void *arg)
{
	struct same_tuple *same = arg;

	same->known = find_same_tuple(same);
	if (!same->known)
		return;
	same->owner.inode = same->found.inode;
	name_owner(&same->owner);
}

static void tell_taken(struct event *ev, int handle, const struct diag_sock *found)
{
	struct holders *holders = &ev->more.holders;

	holders->inode = found->inode;
	holders->local = found->local;
	holders->peer = found->peer;
	holders->uid = found->uid;
	holders->state = found->state;
	holders->had_option = sock_option(handle, SOL_SOCKET, SO_REUSEADDR) > 0;
	ev->notes |= NOTE_BIT(NOTE_ADDRESS_TAKEN);
}

/* False where no helper can be had. */
static __attribute__((noinline)) bool explain_taken_in_full(struct event *ev, int handle)
{
	const int ifindex = sock_ifindex(handle);
	struct same_tuple same = {
		.ours = &ev->sock,
		.netns = sock_netns(handle),
		.deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000),
		.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex,
	};

	if (!apart_run(search_same_tuple, &same, sizeof(same)))
		return false;
	if (same.known) {
		ev->more.holders = same.owner;
		tell_taken(ev, handle, &same.found);
	}
	return true;
}

/* By one question, where both addresses are known; who has it is not looked for. */
static __attribute__((noinline)) void explain_taken_briefly(struct event *ev, int handle)
{
	const int ifindex = sock_ifindex(handle);
	const struct diag_id id = {
		.cookie = DIAG_ANY_COOKIE,
		.netns = sock_netns(handle),
		.local = ev->sock.local,
		.peer = ev->sock.peer,
		.protocol = IPPROTO_TCP,
		.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex,
	};
	struct diag_sock found;

	if (endpoint_is_wildcard(&id.local) || diag_find_exact(&id, &found) != 1)
		return;
	ev->more.holders = (struct holders){0};
	tell_taken(ev, handle, &found);
}

static void explain_taken(struct event *ev, int handle)
{
	if (!ev->sock.peer.port)
		return;
	if (!turn_is_due(&this_process.taken, ev) || !explain_taken_in_full(ev, handle))
		explain_taken_briefly(ev, handle);
}

void explain_connect(struct event *ev, int handle)
{
	if (ev->error != EADDRNOTAVAIL || !can_explain())
		return;
	if (ev->sock.local.port)
		explain_taken(ev, handle);
	else
		explain_exhausted(ev, handle);
}
