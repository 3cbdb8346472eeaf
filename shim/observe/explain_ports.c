/* SPDX-License-Identifier: MIT */
/*
 * explain_ports.c - see explain_ports.h.
 */
#include "observe/explain_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "facts/sum.h"
#include "observe/diag.h"
#include "observe/proc.h"
#include "observe/tcp_state.h"
#include "observe/turns.h"
#include "sys/apart.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/sys.h"

/* The machine may have so many sockets that to see them all takes longer than the user waits. */
enum { MOST_MS = 25, FEW = 1000, OUT_OF_TIME = 1 };

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
	struct endpoint peer; /* of a connect */
	uint32_t ifindex;
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
 * Has this machine an address for a way to that peer? For want of one connect fails alike, over
 * IPv6 alone. UDP knows it as well, needs no port of TCP's, and its connect sends nothing.
 */
static bool has_address_for(const struct endpoint *peer, uint32_t ifindex)
{
	struct sockaddr_in6 there = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(peer->port),
		.sin6_scope_id = peer->scope,
	};
	int fd, rc;

	if (endpoint_ipv4(peer))
		return true;
	memcpy(&there.sin6_addr, peer->addr, sizeof(there.sin6_addr));
	fd = sys_socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (ifindex)
		sock_use_device(fd, ifindex);
	rc = sys_connect(fd, &there, sizeof(there));
	sys_close(fd);
	return rc == 0;
}

/*
 * Only a range that is full explains anything. But some may have gone since the call failed; a
 * socket may have a range of its own.
 */
static void count_exhausted(void *arg)
{
	struct count *count = arg;
	struct taken *taken;

	if (count->peer.family && !has_address_for(&count->peer, count->ifindex))
		return;
	taken = sys_mmap_pages(sizeof(*taken));
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

static bool is_exhausted(struct event *ev, int handle)
{
	struct count count = {.netns = sock_netns(handle)};

	if (ev->call == CALL_connect) {
		const int ifindex = sock_ifindex(handle);

		count.peer = ev->sock.peer;
		count.ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex;
	}
	if (!apart_run(count_exhausted, &count, sizeof(count)) || !count.full)
		return false;
	ev->more.holders = count.holders;
	return true;
}

static unsigned int exhausted_kind(const struct event *ev)
{
	if (ev->call != CALL_connect)
		return EXHAUSTED_BIND;
	return endpoint_ipv4(&ev->sock.peer) ? EXHAUSTED_CONNECT4 : EXHAUSTED_CONNECT6;
}

/* Over IPv6 what holds for one peer may not hold for another: it may lack an address for that. */
static uint64_t exhausted_to(const struct event *ev, unsigned int kind)
{
	const struct endpoint *peer = &ev->sock.peer;
	uint64_t words[sizeof(*peer) / sizeof(uint64_t)], sum = SUM_BEGIN;

	_Static_assert(sizeof(words) == sizeof(*peer), "an endpoint is whole words");
	if (kind != EXHAUSTED_CONNECT6)
		return 0;
	memcpy(words, peer, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum = sum_word(sum, words[i]);
	return sum;
}

void explain_exhausted(struct event *ev, int handle)
{
	const unsigned int kind = exhausted_kind(ev);
	const uint64_t to = exhausted_to(ev, kind);
	struct holders *holders = &ev->more.holders;
	uint32_t range;

	if (turn_take(&this_process.exhausted[kind], TURN_MS, ev, &range)) {
		if (!is_exhausted(ev, handle))
			return;
		range = (uint32_t)holders->first_port << 16 | holders->last_port;
		if (to)
			atomic_store(&this_process.exhausted_to, to);
		turn_keep(&this_process.exhausted[kind], range);
	} else {
		if (!range || (to && atomic_load(&this_process.exhausted_to) != to))
			return;
		*holders = (struct holders){
			.first_port = (uint16_t)(range >> 16),
			.last_port = (uint16_t)range,
		};
	}
	ev->notes |= NOTE_BIT(NOTE_PORTS_EXHAUSTED);
}
