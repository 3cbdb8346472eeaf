/* SPDX-License-Identifier: MIT */
/*
 * crowd.c - see crowd.h.
 */
#include "why/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "observe/conflict.h"

enum { MOST_GROUPS = 65536 };

/* A connection to a port that somebody listens on was accepted there. */
static void mark_listeners(bool listens[65536], const struct port *port)
{
	for (size_t i = 0; i < port->count; i++)
		if (port->socks[i].state == STATE_LISTEN)
			listens[port->socks[i].local.port] = true;
}

/* What listens is told of by address. */
static uint64_t address_sum(const struct endpoint *at)
{
	uint64_t sum = at->family;

	for (size_t i = 0; i < sizeof(at->addr); i++)
		sum = sum * UINT64_C(1099511628211) ^ at->addr[i];
	return sum * UINT64_C(1099511628211) ^ at->scope;
}

static struct alike alike_of(const struct port *port, const struct diag_sock *sock)
{
	enum { A_MOMENT_MS = 1000 };
	const struct owners *owners = port_owners(port, sock->inode);
	const bool stays = sock->state == STATE_LISTEN || sock->state == STATE_CLOSED;
	const bool seen = owners && owners->first;

	return (struct alike){
		.port = sock->local.port,
		.owner = seen ? port->openings.all[owners->first - 1].owner : (uint32_t)NOBODY,
		.owners = owners ? owners->count : 0,
		.uid = sock->inode && !seen ? sock->uid : 0,
		.state = sock->state,
		.open = sock->inode != 0,
		.unclosed = sock->state == STATE_CLOSE_WAIT && sock->silent_ms >= A_MOMENT_MS,
		.address = stays ? address_sum(&sock->local) : 0,
	};
}

static void add(struct group *group, const struct diag_sock *sock)
{
	if (!group->count || sock->timer_ms > group->longest_ms)
		group->one = *sock;
	group->count++;
	group->without_end += conflict_is_dying(sock) && !sock->has_timer;
	if (sock->timer_ms > group->longest_ms)
		group->longest_ms = sock->timer_ms;
	if (sock->silent_ms > group->silent_ms)
		group->silent_ms = sock->silent_ms;
}

static int rank(const struct diag_sock *sock)
{
	if (sock->state == STATE_LISTEN)
		return 0;
	if (sock->state == STATE_CLOSED)
		return 1;
	return conflict_is_dying(sock) ? 3 : 2;
}

static int as_shown(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;

	if (x->alike.port != y->alike.port)
		return x->alike.port < y->alike.port ? -1 : 1;
	if (rank(&x->one) != rank(&y->one))
		return rank(&x->one) - rank(&y->one);
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->alike.state != y->alike.state)
		return x->alike.state - y->alike.state;
	return x < y ? -1 : x > y; /* as they were found */
}

_Static_assert(sizeof(struct alike) == 32 && sizeof(struct group) % 8 == 0, "rows of a table");

bool crowd_of(struct crowd *ret, const struct port *port, uint16_t first, uint16_t last)
{
	static bool listens[65536];

	memset(listens, 0, sizeof(listens));
	*ret = (struct crowd){.table = {.row_size = sizeof(struct group),
					.key_size = sizeof(struct alike),
					.most = MOST_GROUPS}};
	mark_listeners(listens, port);
	for (size_t i = 0; i < port->count; i++) {
		const struct diag_sock *sock = &port->socks[i];
		struct alike alike = alike_of(port, sock);
		struct group *group;

		alike.outgoing =
			!listens[sock->local.port] && conflict_is_outgoing(sock, first, last);
		alike.accepted = listens[sock->local.port];
		group = table_row(&ret->table, &alike);
		if (group)
			add(group, sock);
	}
	ret->shown = calloc(ret->table.count + 1, sizeof(ret->shown[0]));
	if (!ret->shown)
		return false;
	for (size_t i = 0; i < ret->table.count; i++)
		ret->shown[ret->count++] = table_at(&ret->table, i);
	qsort(ret->shown, ret->count, sizeof(ret->shown[0]), as_shown);
	return true;
}

void crowd_end(struct crowd *crowd)
{
	table_end(&crowd->table);
	free(crowd->shown);
}
