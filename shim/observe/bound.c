/*
 * bound.c - see bound.h. No locks: a place that two write at once keeps one of them.
 */
#include "observe/bound.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

#include "observe/tcp_state.h"

/* A port has one of WAYS entries in its place. Filled from the front, and never emptied. */
enum { PLACES = 128, WAYS = 4 };

typedef _Atomic(uint64_t) entry;

static entry entries[PLACES][WAYS]; /* entry_of; 0: none yet */
static _Atomic(uint32_t) next_way;  /* which entry of a full place goes */

static inline uint64_t entry_of(int fd, uint16_t port)
{
	return (uint64_t)port << 32 | (uint32_t)fd;
}

static inline uint16_t port_of(uint64_t word)
{
	return (uint16_t)(word >> 32);
}

static void displace(entry *place, uint64_t mine)
{
	const uint32_t way = atomic_fetch_add_explicit(&next_way, 1, memory_order_relaxed);

	atomic_store_explicit(&place[way % WAYS], mine, memory_order_relaxed);
}

bool bound_alone(int fd, uint16_t port)
{
	entry *place = entries[port % PLACES];
	const uint64_t mine = entry_of(fd, port);
	bool noted = false;

	for (int i = 0; i < WAYS; i++) {
		const uint64_t word = atomic_load_explicit(&place[i], memory_order_relaxed);

		if (word && word != mine && port_of(word) == port)
			return false;
		if (!word && !noted)
			atomic_store_explicit(&place[i], mine, memory_order_relaxed);
		noted |= !word || word == mine;
		if (!word)
			break;
	}
	if (!noted)
		displace(place, mine);
	return true;
}

void bound_ask(int fd, struct conflict_sock *ret)
{
	const int ifindex = sock_ifindex(fd);

	ret->ifindex = ifindex < 0 ? 0 : (uint32_t)ifindex;
	ret->uid = sys_geteuid();
	ret->v6only = sock_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0;
	ret->reuseaddr = sock_option(fd, SOL_SOCKET, SO_REUSEADDR) > 0;
	ret->reuseport = sock_option(fd, SOL_SOCKET, SO_REUSEPORT) > 0;
}

/* What is in that number now; false where it is no TCP socket with that port. */
static bool find(int fd, uint16_t port, struct conflict_sock *ret)
{
	struct tcp_facts facts;

	if (tcp_ask(fd, &facts) < 0)
		return false;
	/* Of a connection that is over getsockname still tells the port, which it has no more. */
	*ret = (struct conflict_sock){
		.state = facts.has_sent || !facts.was_disconnected ? STATE_UNKNOWN : facts.state,
		.local = sock_local(fd),
	};
	return ret->local.port == port;
}

static bool is_in_the_way(int fd, struct conflict_sock *ours, int other_fd,
			  struct conflict_sock *other)
{
	if (other->state != STATE_CLOSED)
		return false;
	bound_ask(fd, ours);
	bound_ask(other_fd, other);
	return conflict_between(ours, other) && sock_netns(fd) == sock_netns(other_fd);
}

bool bound_refuses(int fd, const struct endpoint *asked)
{
	entry *place = entries[asked->port % PLACES];
	const uint64_t mine = entry_of(fd, asked->port);
	struct conflict_sock ours = {.local = *asked, .state = STATE_CLOSED}, other;
	entry *spare = NULL;
	bool noted = false;

	for (int i = 0; i < WAYS; i++) {
		const uint64_t word = atomic_load_explicit(&place[i], memory_order_relaxed);
		const int other_fd = (int)(uint32_t)word;

		noted |= word == mine;
		if (!word) {
			spare = &place[i];
			break;
		}
		if (word == mine || port_of(word) != asked->port)
			continue;
		if (!find(other_fd, asked->port, &other))
			spare = &place[i];
		else if (is_in_the_way(fd, &ours, other_fd, &other))
			return true;
	}
	if (!noted && spare)
		atomic_store_explicit(spare, mine, memory_order_relaxed);
	else if (!noted)
		displace(place, mine);
	return false;
}
