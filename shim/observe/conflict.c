/* SPDX-License-Identifier: MIT */
/*
 * conflict.c - see conflict.h. No I/O: what was found is handed in.
 */
#include "observe/conflict.h"

#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"

enum address_type { ANY6, MAPPED, NATIVE6 };

static enum address_type type_of(const struct endpoint *end)
{
	if (endpoint_ipv4(end))
		return MAPPED;
	return endpoint_is_wildcard(end) ? ANY6 : NATIVE6;
}

/* sk_rcv_saddr: what stands for the address in IPv4; a native one has a number of its own. */
static const uint8_t *ipv4_of(const struct endpoint *end)
{
	static const uint8_t loopback4_ipv6[4] = {127, 0, 0, 6}, any[4];
	const uint8_t *ipv4 = endpoint_ipv4(end);

	if (ipv4)
		return ipv4;
	return endpoint_is_wildcard(end) ? any : loopback4_ipv6;
}

/* ipv4_rcv_saddr_equal, with both wildcards */
static bool share_ipv4(const struct conflict_sock *asks, const struct conflict_sock *other)
{
	static const uint8_t any[4];
	const uint8_t *x = ipv4_of(&asks->local), *y = ipv4_of(&other->local);

	return !other->v6only &&
	       (memcmp(x, y, 4) == 0 || memcmp(x, any, 4) == 0 || memcmp(y, any, 4) == 0);
}

/* inet_rcv_saddr_equal with match_wildcard, net/ipv4/inet_connection_sock.c; not symmetric */
static bool addresses_overlap(const struct conflict_sock *asks, const struct conflict_sock *other)
{
	const enum address_type mine = type_of(&asks->local), its = type_of(&other->local);

	if (asks->local.family == AF_INET || (mine == MAPPED && its == MAPPED))
		return share_ipv4(asks, other);
	if (mine == ANY6 && its == ANY6)
		return true;
	if (its == ANY6)
		return !(other->v6only && mine == MAPPED);
	if (mine == ANY6)
		return !(asks->v6only && its == MAPPED);
	return other->local.family == AF_INET6 &&
	       memcmp(asks->local.addr, other->local.addr, 16) == 0;
}

bool conflict_is_dual_stack(const struct conflict_sock *asks, const struct conflict_sock *other)
{
	const enum address_type mine = type_of(&asks->local), its = type_of(&other->local);

	return (mine == ANY6 && its == MAPPED) || (mine == MAPPED && its == ANY6);
}

bool conflict_between(const struct conflict_sock *asks, const struct conflict_sock *other)
{
	if (asks->ifindex && other->ifindex && asks->ifindex != other->ifindex)
		return false;
	if (!addresses_overlap(asks, other))
		return false;
	if (asks->reuseaddr && other->reuseaddr && other->state != STATE_LISTEN)
		return false;
	return !(asks->reuseport && other->reuseport &&
		 (other->state == STATE_TIME_WAIT || asks->uid == other->uid));
}

bool conflict_is_dying(const struct diag_sock *sock)
{
	const unsigned int ends = STATE_BIT(STATE_FIN_WAIT_1) | STATE_BIT(STATE_FIN_WAIT_2) |
				  STATE_BIT(STATE_CLOSING) | STATE_BIT(STATE_LAST_ACK) |
				  STATE_BIT(STATE_TIME_WAIT);

	return sock->inode == 0 && (ends & STATE_BIT(sock->state));
}

/* Which of several to name: the higher the better. */
enum rank { DYING_RANK = 1, LIVE_RANK, BOUND_RANK, LISTENER_RANK };

static enum rank rank_of(uint8_t state, bool dying)
{
	if (state == STATE_LISTEN)
		return LISTENER_RANK;
	if (state == STATE_CLOSED)
		return BOUND_RANK;
	return dying ? DYING_RANK : LIVE_RANK;
}

static enum rank named_rank(const struct holders *holders)
{
	if (holders->state == STATE_UNKNOWN)
		return 0;
	return rank_of(holders->state, !holders->listeners && !holders->bound && !holders->live);
}

static void name(struct holders *holders, const struct diag_sock *sock)
{
	holders->local = sock->local;
	holders->peer = sock->peer;
	holders->inode = sock->inode;
	holders->uid = sock->uid;
	holders->state = sock->state;
}

static bool in_range(const struct holders *holders, uint16_t port)
{
	return holders->first_port && port >= holders->first_port && port <= holders->last_port;
}

/*
 * Servers seldom have ports of that range, clients hardly ever others. One that is connected to
 * itself was accepted by nobody.
 */
static bool is_outgoing(const struct holders *holders, const struct endpoint *local,
			const struct endpoint *peer)
{
	return peer->port && in_range(holders, local->port) &&
	       (!in_range(holders, peer->port) || endpoint_same(local, peer));
}

static struct conflict_sock without_options(const struct diag_sock *sock)
{
	return (struct conflict_sock){
		.local = sock->local,
		.ifindex = sock->ifindex,
		.uid = sock->uid,
		.state = sock->state,
		.v6only = sock->v6only,
	};
}

bool conflict_with_found(const struct conflict_sock *asks, const struct diag_sock *other)
{
	const struct conflict_sock plain = without_options(other);

	return conflict_between(asks, &plain);
}

bool conflict_is_outgoing(const struct diag_sock *sock, uint16_t first_port, uint16_t last_port)
{
	const struct holders range = {.first_port = first_port, .last_port = last_port};

	return is_outgoing(&range, &sock->local, &sock->peer);
}

void conflict_count(struct holders *holders, const struct conflict_sock *asks,
		    const struct diag_sock *other)
{
	const struct conflict_sock plain = without_options(other);
	const bool dying = conflict_is_dying(other);
	const enum rank named = named_rank(holders), rank = rank_of(other->state, dying);

	if (other->state == STATE_UNKNOWN || other->state == STATE_SYN_RCVD)
		return; /* a connection being made holds nothing: its listener does */
	if (!conflict_between(asks, &plain))
		return;
	if (rank > named ||
	    (rank == DYING_RANK && named == DYING_RANK && other->timer_ms > holders->longest_ms)) {
		name(holders, other);
		holders->dual_stack = rank == LISTENER_RANK && conflict_is_dual_stack(asks, &plain);
	}

	if (rank == LISTENER_RANK && asks->reuseport && asks->uid == other->uid)
		holders->unsure = true;
	holders->listeners += rank == LISTENER_RANK;
	holders->bound += rank == BOUND_RANK;
	holders->live += rank == LIVE_RANK;
	holders->dying += rank == DYING_RANK;
	holders->outgoing +=
		rank == DYING_RANK && is_outgoing(holders, &other->local, &other->peer);
	if (rank == DYING_RANK)
		holders->dying_in |= STATE_BIT(other->state);
	if (dying && !other->has_timer)
		holders->without_end++;
	if (dying && other->timer_ms > holders->longest_ms)
		holders->longest_ms = other->timer_ms;
}

/* Of the dying all together; else of the live one that is named. */
static enum dying_cause cause_of(const struct holders *holders)
{
	if (holders->listeners || holders->bound || !holders->first_port)
		return CAUSE_UNKNOWN;
	if (holders->live)
		return is_outgoing(holders, &holders->local, &holders->peer) ? CAUSE_OUTGOING
									     : CAUSE_UNKNOWN;
	if (!in_range(holders, holders->local.port))
		return holders->had_option ? CAUSE_NO_SHIM : CAUSE_UNKNOWN;
	return holders->outgoing == holders->dying ? CAUSE_OUTGOING : CAUSE_EITHER;
}

void conflict_cause(struct holders *holders)
{
	holders->cause = (uint8_t)cause_of(holders);
	if (holders->cause != CAUSE_OUTGOING && holders->cause != CAUSE_EITHER)
		holders->first_port = holders->last_port = 0;
}

enum note_id conflict_note(const struct holders *holders)
{
	/* Of the listener's group ourselves, perhaps: then it may be any of the others. */
	if (holders->unsure && (holders->bound || holders->live || holders->dying))
		return NOTE_COUNT;
	if (holders->listeners)
		return NOTE_IN_USE_LISTENER;
	if (holders->bound || holders->live)
		return NOTE_IN_USE_BOUND;
	/* Among those not seen there may be a live one. */
	return holders->dying && !holders->more ? NOTE_IN_USE_DYING : NOTE_COUNT;
}
