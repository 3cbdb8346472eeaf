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
#include "observe/fdtable.h"
#include "observe/proc.h"
#include "observe/tcp_state.h"
#include "sys/apart.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

/* A port may have so many connections that to see them all takes longer than the user waits. */
enum { MOST_MS = 25, FEW = 1000, OUT_OF_TIME = 1 };

enum { BOUND_INACTIVE = 13 }; /* TCP_BOUND_INACTIVE: bound and nothing else */

struct inquiry {
	struct conflict_sock ours;
	uint64_t cookie, netns, deadline_ns;
	uint32_t seen;
	struct holders holders;
	bool find_owner;
	bool may_open; /* in a helper: sockets of its own, and /proc */
	bool complete;
};

static int visit_holder(const struct diag_sock *sock, void *arg)
{
	struct inquiry *inquiry = arg;

	/* Sockets that are bound and nothing else come whatever port was asked for. */
	if (sock->cookie != inquiry->cookie && sock->local.port == inquiry->ours.local.port)
		conflict_count(&inquiry->holders, &inquiry->ours, sock);
	if (++inquiry->seen < FEW || clock_ns(CLOCK_MONOTONIC) < inquiry->deadline_ns)
		return 0;
	inquiry->holders.more = true;
	return OUT_OF_TIME;
}

/* All on the port in these states, of both families. */
static bool ask_port(struct inquiry *inquiry, uint32_t kernel_states)
{
	const struct diag_scope scope = {
		.netns = inquiry->netns,
		.protocol = IPPROTO_TCP,
		.family = AF_UNSPEC,
		.port = inquiry->ours.local.port,
		.kernel_states = kernel_states,
	};
	const int rc = inquiry->may_open ? diag_dump(&scope, visit_holder, inquiry)
					 : diag_dump_kept(&scope, visit_holder, inquiry);

	return rc == 1; /* complete, or OUT_OF_TIME */
}

static void forget(struct inquiry *inquiry)
{
	inquiry->holders = (struct holders){.had_option = inquiry->ours.reuseaddr};
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

/*
 * Ourselves. Started with it is who has the number since it was started, as far as is
 * known, and was never seen to use it; for some are closed and given again.
 */
static void name_own(struct holders *holders, const struct proc_owner *owner)
{
	enum { FIRST_HANDED_OVER = 3 }; /* sd_listen_fds(3) */

	holders->own = true;
	holders->own_fd = owner->fd;
	holders->listen_fds =
		owner->fd >= FIRST_HANDED_OVER && owner->fd - FIRST_HANDED_OVER < shim.listen_fds;
	holders->started_with = owner->outlives_exec && own_was_open_at_load(owner->fd) &&
				!fdtable_get(owner->fd).cookie;
	holders->inherited |= holders->started_with;
}

/* One that has it is enough. */
static void name_owner(struct holders *holders)
{
	struct proc_owner owner = {.looked_up = true};

	if (holders->inode)
		proc_find_keeper(holders->inode, -1, &owner);
	holders->pid = owner.pid;
	holders->looked_up = owner.looked_up;
	memcpy(holders->prog, owner.prog, sizeof(holders->prog));
}

/* All that have it, and how they came to it. */
static void name_owners(struct holders *holders)
{
	struct proc_owner owner = {.looked_up = true};

	if (holders->inode)
		proc_find_owner(holders->inode, &owner);
	holders->pid = owner.pid;
	holders->looked_up = owner.looked_up;
	memcpy(holders->prog, owner.prog, sizeof(holders->prog));
	holders->others = owner.others;
	holders->inherited = owner.shared.by_exec;
	holders->shared_by_fork = owner.shared.by_fork;
	if (owner.pid && owner.pid == sys_getpid())
		name_own(holders, &owner);
	else
		holders->or_inherited = owner.shared.or_exec && strcmp(owner.prog, shim.prog) != 0;
}

/* What is asked for that socket on that address, of which nothing is known so far. */
static void begin_inquiry(struct inquiry *inquiry, int fd, const struct endpoint *asked,
			  bool listens)
{
	*inquiry = (struct inquiry){
		.ours = {.local = *asked, .state = listens ? STATE_LISTEN : STATE_CLOSED},
		.cookie = sock_cookie(fd),
		.netns = sock_netns(fd),
		.deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000),
	};
	bound_ask(fd, &inquiry->ours);
	forget(inquiry);
}

static void inquire(void *arg)
{
	struct inquiry *inquiry = arg;

	inquiry->may_open = true;
	inquiry->complete = ask_for_holders(inquiry);
	if (inquiry->complete && inquiry->find_owner)
		name_owners(&inquiry->holders);
}

bool explain_holders(int fd, const struct endpoint *asked, bool listens, bool find_owner,
		     struct holders *ret)
{
	struct inquiry inquiry;

	if (!asked->family)
		return false;
	begin_inquiry(&inquiry, fd, asked, listens);
	inquiry.find_owner = find_owner;
	/* Without a helper: what the sockets that are kept can tell. */
	if (!apart_run(inquire, &inquiry, sizeof(inquiry)))
		inquiry.complete = ask_for_holders(&inquiry);
	*ret = inquiry.holders;
	return inquiry.complete;
}

/*
 * A program that looks for a free port meets a thousand that are not. What takes long is
 * asked once a second, and remembered in a word: when, in milliseconds, which port or
 * ports, and what came of it. 0: nothing yet.
 */
enum { PAUSE_MS = 1000 };

static uint64_t remembered(uint64_t now_ms, uint16_t high, uint16_t low)
{
	return now_ms << 32 | (uint64_t)high << 16 | low;
}

static bool is_recent(uint64_t word, uint64_t now_ms)
{
	return word && (uint32_t)now_ms - (uint32_t)(word >> 32) < PAUSE_MS;
}

/* Is it the caller's turn? Else *ret_last is what was explained a moment ago. */
static bool take_turn(_Atomic(uint64_t) *word, uint64_t mine, uint64_t now_ms, uint64_t *ret_last)
{
	*ret_last = atomic_load(word);
	return !is_recent(*ret_last, now_ms) &&
	       atomic_compare_exchange_strong(word, ret_last, mine);
}

/* Of a port without a listener: that of it which was known a moment ago. */
static enum note_id note_without_listener(uint16_t port, uint64_t last)
{
	return (uint16_t)(last >> 16) == port && (uint16_t)last == NOTE_IN_USE_DYING
		       ? NOTE_IN_USE_DYING
		       : NOTE_IN_USE_BOUND;
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
__attribute__((noinline)) static enum note_id
explain_briefly(struct event *ev, const struct endpoint *at, bool listens, uint64_t last)
{
	struct holders *holders = &ev->more.holders;
	struct inquiry inquiry;

	begin_inquiry(&inquiry, ev->fd, at, listens);
	if (!ask_port(&inquiry, 1u << TCP_LISTEN) &&
	    (!apart_run(inquire_listeners, &inquiry, sizeof(inquiry)) || !inquiry.complete))
		return NOTE_COUNT;
	*holders = inquiry.holders;
	holders->brief = true;
	if (holders->listeners)
		return holders->unsure ? NOTE_COUNT : NOTE_IN_USE_LISTENER;
	holders->local.port = at->port;
	return note_without_listener(at->port, last);
}

static enum note_id explain_in_full(struct event *ev, const struct endpoint *at, bool listens)
{
	struct holders *holders = &ev->more.holders;

	if (!explain_holders(ev->fd, at, listens, true, holders))
		return NOTE_COUNT;
	holders->had_option |= ev->tried_reuse;
	conflict_cause(holders);
	return conflict_note(holders);
}

static void explain_in_use(struct event *ev, const struct endpoint *at, bool listens)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
	enum note_id note;
	uint64_t last;

	if (take_turn(&this_process.explained, remembered(now_ms, at->port, NOTE_COUNT), now_ms,
		      &last)) {
		note = explain_in_full(ev, at, listens);
		atomic_store(&this_process.explained, remembered(now_ms, at->port, (uint16_t)note));
	} else {
		note = explain_briefly(ev, at, listens, last);
	}
	if (note != NOTE_COUNT)
		ev->notes |= NOTE_BIT(note);
}

/*
 * The owner of a port that is shared, where nothing went wrong that would be worth waiting for: a
 * server may have hundreds of such sockets. When 5 ms of a second have gone to it, no search is
 * begun any more.
 */
static void name_owner_in_passing(struct holders *holders)
{
	enum { MOST_US = 5000, A_SECOND_NS = 1000000000 };
	static _Atomic(uint64_t) spent; /* the second, and the microseconds of it */
	const uint64_t begin = clock_ns(CLOCK_MONOTONIC), second = begin / A_SECOND_NS;
	const uint64_t before = atomic_load_explicit(&spent, memory_order_relaxed);
	const uint32_t us = before >> 32 == (uint32_t)second ? (uint32_t)before : 0;

	if (us >= MOST_US)
		return;
	name_owner(holders);
	atomic_store_explicit(&spent,
			      second << 32 | (us + (clock_ns(CLOCK_MONOTONIC) - begin) / 1000),
			      memory_order_relaxed);
}

/* Not where nobody has turned it on here: then it is not even asked for. */
static bool has_reuseport(int fd)
{
	const bool would_be_seen = shim.hooks_at_load & CALL_BIT(CALL_setsockopt);

	if (would_be_seen && !shim.set.reuseport &&
	    !atomic_load_explicit(&choices_reuseport, memory_order_relaxed))
		return false;
	return sock_option(fd, SOL_SOCKET, SO_REUSEPORT) > 0;
}

static void inquire_sharers(void *arg)
{
	struct inquiry *inquiry = arg;

	inquire_listeners(inquiry);
	if (inquiry->complete && inquiry->holders.listeners)
		name_owner_in_passing(&inquiry->holders);
}

/*
 * Which listeners would have refused it, had it and they not all SO_REUSEPORT? Of an MPTCP socket
 * the kernel shows its subflow, which can't be told from another's.
 */
void explain_shared(struct event *ev)
{
	struct inquiry inquiry;

	if (!ev->sock.local.port || !has_reuseport(ev->fd) || sys_on_alternate_stack() ||
	    sock_option(ev->fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
		return;
	begin_inquiry(&inquiry, ev->fd, &ev->sock.local, ev->call == CALL_listen);
	if (!apart_run(inquire_sharers, &inquiry, sizeof(inquiry)))
		inquiry.complete = ask_port(&inquiry, 1u << TCP_LISTEN);
	if (!inquiry.complete || !inquiry.holders.listeners)
		return;
	ev->more.holders = inquiry.holders;
	ev->notes |= NOTE_BIT(NOTE_SHARED_PORT);
}

/* Ports, a bit each; and how many. */
struct ports {
	uint64_t bits[65536 / 64];
	uint32_t count;
};

/*
 * The ports of the range that somebody has, and TIME_WAIT connections, all and by peer.
 * One port may be that of connections to several peers.
 */
struct taken {
	struct ports ports, waiting;
	uint32_t first, last, seen;
	uint64_t deadline_ns;
	bool cut; /* there are more, that there was no time for */
	struct {
		struct endpoint end;
		struct ports waiting;
	} peers[16];
};

static void enter(struct ports *ports, uint16_t port)
{
	const uint64_t bit = UINT64_C(1) << port % 64;

	ports->count += !(ports->bits[port / 64] & bit);
	ports->bits[port / 64] |= bit;
}

/* One that most go to is among the first that are met. */
static void enter_peer(struct taken *taken, const struct endpoint *end, uint16_t port)
{
	for (size_t i = 0; i < sizeof(taken->peers) / sizeof(taken->peers[0]); i++) {
		if (!taken->peers[i].waiting.count)
			taken->peers[i].end = *end;
		else if (memcmp(&taken->peers[i].end, end, sizeof(*end)) != 0)
			continue;
		enter(&taken->peers[i].waiting, port);
		return;
	}
}

static int visit_taken(const struct diag_sock *sock, void *arg)
{
	struct taken *taken = arg;
	const uint16_t port = sock->local.port;

	if (port >= taken->first && port <= taken->last) {
		enter(&taken->ports, port);
		if (sock->state == STATE_TIME_WAIT) {
			enter(&taken->waiting, port);
			enter_peer(taken, &sock->peer, port);
		}
	}
	/* All are taken, that is the answer; by whom, as far as there is time. */
	if (++taken->seen < FEW || taken->ports.count <= taken->last - taken->first ||
	    clock_ns(CLOCK_MONOTONIC) < taken->deadline_ns)
		return 0;
	taken->cut = true;
	return OUT_OF_TIME;
}

/* Of the one peer that has most of the ports in TIME_WAIT, if that is more than half; else all. */
static void tell_time_wait(const struct taken *taken, struct holders *ret)
{
	uint32_t most = taken->waiting.count / 2;

	ret->dying = taken->waiting.count;
	for (size_t i = 0; i < sizeof(taken->peers) / sizeof(taken->peers[0]); i++)
		if (taken->peers[i].waiting.count > most) {
			ret->dying = most = taken->peers[i].waiting.count;
			ret->peer = taken->peers[i].end;
		}
}

/* Who finds out how many of the local ports are taken, and what he found. */
struct count {
	uint64_t netns;
	struct holders holders;
	bool full;
};

/* Who has a port of the range; all else in *taken is zero. False where that can't be asked. */
static bool count_taken(uint64_t netns, struct taken *taken)
{
	const struct diag_scope all = {
		.netns = netns,
		.protocol = IPPROTO_TCP,
		.family = AF_UNSPEC,
		.kernel_states = ~0u,
	};
	uint16_t first, last;

	if (!proc_port_range(&first, &last))
		return false;
	taken->first = first;
	taken->last = last;
	taken->deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000);
	diag_dump(&all, visit_taken, taken);
	return true;
}

/*
 * Only a range that is full explains anything. But some may have gone since the call failed; a
 * socket may have a range of its own.
 */
static void count_exhausted(void *arg)
{
	struct count *count = arg;
	struct taken *taken = sys_mmap_pages(sizeof(*taken));

	if (sys_failed(taken))
		return;
	if (count_taken(count->netns, taken) &&
	    taken->ports.count >= (taken->last - taken->first + 1) / 20 * 19) {
		count->full = true;
		count->holders = (struct holders){
			.first_port = (uint16_t)taken->first,
			.last_port = (uint16_t)taken->last,
			.taken = taken->ports.count,
			.more = taken->cut,
		};
		tell_time_wait(taken, &count->holders);
	}
	sys_munmap(taken, sizeof(*taken));
}

static bool is_exhausted(struct event *ev)
{
	struct count count = {.netns = sock_netns(ev->fd)};

	if (!apart_run(count_exhausted, &count, sizeof(count)) || !count.full)
		return false;
	ev->more.holders = count.holders;
	return true;
}

static void explain_exhausted(struct event *ev)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
	const uint64_t before = atomic_load(&this_process.exhausted);
	struct holders *holders = &ev->more.holders;

	if (is_recent(before, now_ms))
		*holders = (struct holders){
			.first_port = (uint16_t)(before >> 16),
			.last_port = (uint16_t)before,
		};
	else if (is_exhausted(ev))
		atomic_store(&this_process.exhausted,
			     remembered(now_ms, holders->first_port, holders->last_port));
	else
		return;
	ev->notes |= NOTE_BIT(NOTE_PORTS_EXHAUSTED);
}

static bool may_bind_privileged(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
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
	uint32_t first = 0;

	if (may_bind_privileged() || !apart_run(read_first_unprivileged, &first, sizeof(first)) ||
	    asked->port >= first)
		return;
	ev->notes |= NOTE_BIT(NOTE_PRIVILEGED_PORT);
	ev->figures.first_port = (uint16_t)first;
}

void explain_bind(struct event *ev, const struct endpoint *asked)
{
	if (!asked->family || sys_on_alternate_stack())
		return;
	switch (ev->error) {
	case EADDRINUSE:
		if (asked->port)
			explain_in_use(ev, asked, false);
		else
			explain_exhausted(ev);
		return;
	case EADDRNOTAVAIL:
		ev->notes |= NOTE_BIT(NOTE_NOT_LOCAL);
		return;
	case EACCES:
		explain_privileged(ev, asked);
		return;
	}
}

void explain_listen(struct event *ev, const struct endpoint *local)
{
	if (ev->error != EADDRINUSE || sys_on_alternate_stack())
		return;
	if (local->port)
		explain_in_use(ev, local, true);
	else
		explain_exhausted(ev); /* listen binds to port 0 what was not bound */
}

enum { SAME_TUPLE = 2 }; /* what ends the walk; 1 is that it is complete */

struct same_tuple {
	const struct sock_view *ours;
	struct diag_sock found;
	uint64_t netns, deadline_ns;
	uint32_t ifindex;
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
	return clock_ns(CLOCK_MONOTONIC) < same->deadline_ns ? 0 : -ETIME;
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

static void explain_taken(struct event *ev)
{
	struct holders *holders = &ev->more.holders;
	const int ifindex = sock_ifindex(ev->fd);
	struct same_tuple same = {
		.ours = &ev->sock,
		.netns = sock_netns(ev->fd),
		.deadline_ns = clock_ns(CLOCK_MONOTONIC) + MOST_MS * UINT64_C(1000000),
		.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex,
	};

	if (!ev->sock.peer.port || !apart_run(search_same_tuple, &same, sizeof(same)) ||
	    !same.known)
		return;
	*holders = same.owner;
	holders->local = same.found.local;
	holders->peer = same.found.peer;
	holders->uid = same.found.uid;
	holders->state = same.found.state;
	holders->had_option = sock_option(ev->fd, SOL_SOCKET, SO_REUSEADDR) > 0;
	ev->notes |= NOTE_BIT(NOTE_ADDRESS_TAKEN);
}

void explain_connect(struct event *ev)
{
	if (ev->error != EADDRNOTAVAIL || sys_on_alternate_stack())
		return;
	if (ev->sock.local.port)
		explain_taken(ev);
	else
		explain_exhausted(ev);
}
