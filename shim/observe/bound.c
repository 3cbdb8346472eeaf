/* SPDX-License-Identifier: MIT */
/*
 * bound.c - see bound.h. No locks: a place that two write at once keeps one of them.
 */
#include "observe/bound.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

#include "observe/subject.h"
#include "observe/tcp_state.h"

typedef _Atomic(uint64_t) entry;

static _Atomic(uint32_t) next_way; /* which entry of a full place goes */

static inline entry *place_of(uint16_t port)
{
	return subject_notes->bound[port % BOUND_PLACES];
}

static inline uint64_t entry_of(int number, uint16_t port)
{
	return (uint64_t)port << 32 | (uint32_t)number;
}

static inline uint16_t port_of(uint64_t word)
{
	return (uint16_t)(word >> 32);
}

static void displace(entry *place, uint64_t mine)
{
	const uint32_t way = atomic_fetch_add_explicit(&next_way, 1, memory_order_relaxed);

	atomic_store_explicit(&place[way % BOUND_WAYS], mine, memory_order_relaxed);
}

bool bound_alone(int number, uint16_t port)
{
	entry *place = place_of(port);
	const uint64_t mine = entry_of(number, port);
	bool noted = false;

	for (int i = 0; i < BOUND_WAYS; i++) {
		const uint64_t word = atomic_load_explicit(&place[i], memory_order_relaxed);

		if (word == mine) {
			noted = true;
		} else if (!word) { /* and none behind it */
			if (!noted)
				atomic_store_explicit(&place[i], mine, memory_order_relaxed);
			return true;
		} else if (port_of(word) == port) {
			return false;
		}
	}
	if (!noted)
		displace(place, mine);
	return true;
}

void bound_ask(int handle, struct conflict_sock *ret)
{
	const int ifindex = sock_ifindex(handle);

	ret->ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex;
	ret->uid = subject ? subject->uid : sys_geteuid();
	ret->v6only = sock_option(handle, IPPROTO_IPV6, IPV6_V6ONLY) > 0;
	ret->reuseaddr = sock_option(handle, SOL_SOCKET, SO_REUSEADDR) > 0;
	ret->reuseport = sock_option(handle, SOL_SOCKET, SO_REUSEPORT) > 0;
}

/* What is in that number now; false where it is no TCP socket with that port. */
static bool find(int handle, uint16_t port, struct conflict_sock *ret)
{
	struct tcp_facts facts;

	if (tcp_ask(handle, &facts) < 0)
		return false;
	/* Of a connection that is over getsockname still tells the port, which it has no more. */
	*ret = (struct conflict_sock){
		.state = facts.has_sent || !facts.was_disconnected ? STATE_UNKNOWN : facts.state,
		.local = sock_local(handle),
	};
	return ret->local.port == port;
}

static bool is_in_the_way(int handle, struct conflict_sock *ours, int other_handle,
			  struct conflict_sock *other)
{
	if (other->state != STATE_CLOSED)
		return false;
	bound_ask(handle, ours);
	bound_ask(other_handle, other);
	return conflict_between(ours, other) && sock_netns(handle) == sock_netns(other_handle);
}

enum finding { GONE, THERE, IN_THE_WAY };

static enum finding look_at(int other_number, int handle, struct conflict_sock *ours)
{
	const int other_handle = subject_fetch(other_number);
	enum finding ret = GONE;
	struct conflict_sock other;

	if (find(other_handle, ours->local.port, &other))
		ret = is_in_the_way(handle, ours, other_handle, &other) ? IN_THE_WAY : THERE;
	subject_let_go(other_handle);
	return ret;
}

bool bound_refuses(struct sock_ref ref, const struct endpoint *asked)
{
	entry *place = place_of(asked->port);
	const uint64_t mine = entry_of(ref.number, asked->port);
	struct conflict_sock ours = {.local = *asked, .state = STATE_CLOSED};
	entry *spare = NULL;
	bool noted = false;

	for (int i = 0; i < BOUND_WAYS; i++) {
		const uint64_t word = atomic_load_explicit(&place[i], memory_order_relaxed);

		noted |= word == mine;
		if (!word) {
			spare = &place[i];
			break;
		}
		if (word == mine || port_of(word) != asked->port)
			continue;
		switch (look_at((int)(uint32_t)word, ref.handle, &ours)) {
		case IN_THE_WAY:
			return true;
		case GONE:
			spare = &place[i];
			break;
		case THERE:
			break;
		}
	}
	if (!noted && spare)
		atomic_store_explicit(spare, mine, memory_order_relaxed);
	else if (!noted)
		displace(place, mine);
	return false;
}
