/*
 * port.c - see port.h.
 */
#include "port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "observe/conflict.h"
#include "observe/diag.h"

static int add_sock(const struct diag_sock *sock, void *arg)
{
	struct port *port = arg;
	struct port_sock *more = port->socks;

	/* Sockets that are bound and nothing else come whatever port was asked for. */
	if (sock->local.port != port->number || sock->state == STATE_UNKNOWN)
		return 0;
	if (port->count == port->room) {
		port->room = port->room ? port->room * 2 : 64;
		more = realloc(port->socks, port->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		port->socks = more;
	}
	more[port->count++] = (struct port_sock){.sock = *sock};
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const uint32_t x = ((const struct port_sock *)a)->sock.inode;
	const uint32_t y = ((const struct port_sock *)b)->sock.inode;

	return x < y ? -1 : x > y;
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
	const struct diag_sock *x = &((const struct port_sock *)a)->sock;
	const struct diag_sock *y = &((const struct port_sock *)b)->sock;

	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	if (x->timer_ms != y->timer_ms)
		return x->timer_ms > y->timer_ms ? -1 : 1;
	return memcmp(&x->peer, &y->peer, sizeof(x->peer));
}

static bool find_owners(struct port *port)
{
	port->owners = calloc(port->count + 1, sizeof(*port->owners));
	if (!port->owners)
		return false;
	if (port->count)
		qsort(port->socks, port->count, sizeof(*port->socks), by_inode);
	for (size_t i = 0; i < port->count; i++) {
		struct port_sock *sock = &port->socks[i];

		if (!sock->sock.inode)
			continue;
		sock->owners = &port->owners[port->owner_count++];
		sock->owners->inode = sock->sock.inode;
	}
	port->sight = port->owner_count ? owners_find(port->owners, port->owner_count) : SEES_ALL;
	return true;
}

int port_look(struct port *port)
{
	const struct diag_scope scope = {.protocol = IPPROTO_TCP,
					 .family = AF_UNSPEC,
					 .port = port->number,
					 .kernel_states = ~0u,
					 .silence = true};
	const int rc = diag_dump(&scope, add_sock, port);

	if (rc < 0)
		return rc;
	if (!find_owners(port))
		return -ENOMEM;
	if (port->count)
		qsort(port->socks, port->count, sizeof(*port->socks), as_shown);
	return 0;
}

void port_free(struct port *port)
{
	free(port->socks);
	free(port->owners);
}
