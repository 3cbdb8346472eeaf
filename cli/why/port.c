/* SPDX-License-Identifier: MIT */
/*
 * port.c - see port.h.
 */
#include "why/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "observe/conflict.h"
#include "observe/diag.h"

static bool is_wanted(const struct port *port, const struct diag_sock *sock)
{
	/* Sockets that are bound and nothing else come whatever port was asked for. */
	if (port->number)
		return sock->local.port == port->number && sock->state != STATE_UNKNOWN;
	return sock->state == STATE_LISTEN || conflict_is_dying(sock);
}

static int add_sock(const struct diag_sock *sock, void *arg)
{
	struct port *port = arg;
	struct diag_sock *more = port->socks;

	if (!is_wanted(port, sock))
		return 0;
	if (port->count == port->room) {
		port->room = port->room ? port->room * 2 : 64;
		more = realloc(port->socks, port->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		port->socks = more;
	}
	more[port->count++] = *sock;
	return 0;
}

/* Those of which the time since their last segment is asked. */
struct silent {
	struct diag_sock **socks; /* in the order of their cookies */
	size_t count;
};

static int by_cookie(const void *a, const void *b)
{
	const struct diag_sock *x = *(struct diag_sock *const *)a;
	const struct diag_sock *y = *(struct diag_sock *const *)b;

	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

static int add_silence(const struct diag_sock *sock, void *arg)
{
	const struct silent *silent = arg;
	struct diag_sock key = *sock, *const one = &key, **found;

	found = bsearch(&one, silent->socks, silent->count, sizeof(found[0]), by_cookie);
	if (found)
		(*found)->silent_ms = sock->silent_ms;
	return 0;
}

/*
 * How long the peers have been silent of what waits for a close, by a question of its own: of
 * all connections it would cost as much as everything else.
 */
static int ask_silence(struct port *port)
{
	const struct diag_scope scope = {.protocol = IPPROTO_TCP,
					 .family = AF_UNSPEC,
					 .port = port->number,
					 .kernel_states = 1u << TCP_CLOSE_WAIT,
					 .silence = true};
	struct silent silent = {.socks = calloc(port->count + 1, sizeof(silent.socks[0]))};
	int rc = 1;

	if (!silent.socks)
		return -ENOMEM;
	for (size_t i = 0; i < port->count; i++)
		if (port->socks[i].state == STATE_CLOSE_WAIT)
			silent.socks[silent.count++] = &port->socks[i];
	if (silent.count) {
		qsort(silent.socks, silent.count, sizeof(silent.socks[0]), by_cookie);
		rc = diag_dump(&scope, add_silence, &silent);
	}
	free(silent.socks);
	return rc;
}

/*
 * Whether a connection is of IPv6 alone, the kernel tells nobody. It has that from its listener:
 * where all that listen on the port by IPv6 are, so is it.
 */
static void pass_on_v6only(struct port *port)
{
	bool any = false, all = true;

	for (size_t i = 0; i < port->count; i++) {
		const struct diag_sock *sock = &port->socks[i];

		if (sock->state != STATE_LISTEN || sock->local.family != AF_INET6)
			continue;
		any = true;
		all &= sock->v6only;
	}
	for (size_t i = 0; any && all && i < port->count; i++)
		if (port->socks[i].local.family == AF_INET6 &&
		    !endpoint_ipv4(&port->socks[i].local))
			port->socks[i].v6only = true;
}

static int look(struct port *port, uint32_t kernel_states)
{
	const struct diag_scope scope = {.protocol = IPPROTO_TCP,
					 .family = AF_UNSPEC,
					 .port = port->number,
					 .kernel_states = kernel_states};

	port->count = 0;
	return diag_dump(&scope, add_sock, port);
}

int port_look_for_listeners(struct port *port)
{
	const int rc = look(port, 1u << TCP_LISTEN);

	return rc < 0 ? rc : 0;
}

int port_look(struct port *port)
{
	int rc = look(port, ~0u);

	if (rc >= 0)
		rc = ask_silence(port);
	if (port->number)
		pass_on_v6only(port);
	return rc < 0 ? rc : 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct owners *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* Of MPTCP several sockets have one inode. */
static size_t each_once(struct owners *owners, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!i || owners[i].inode != owners[kept - 1].inode)
			owners[kept++] = owners[i];
	return kept;
}

int port_find_owners(struct port *port)
{
	size_t count = 0;

	port->owners = calloc(port->count + 1, sizeof(*port->owners));
	if (!port->owners)
		return -ENOMEM;
	for (size_t i = 0; i < port->count; i++)
		if (port->socks[i].inode)
			port->owners[count++].inode = port->socks[i].inode;
	qsort(port->owners, count, sizeof(*port->owners), by_inode);
	port->owner_count = each_once(port->owners, count);
	port->openings.sight = SEES_ALL;
	if (count)
		owners_find(port->owners, port->owner_count, &port->openings);
	return 0;
}

const struct owners *port_owners(const struct port *port, uint32_t inode)
{
	const struct owners key = {.inode = inode};

	return inode && port->owners
		       ? bsearch(&key, port->owners, port->owner_count, sizeof(key), by_inode)
		       : NULL;
}

void port_free(struct port *port)
{
	free(port->socks);
	free(port->owners);
	openings_end(&port->openings);
}
