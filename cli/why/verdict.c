/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - see verdict.h. Without the option every socket that overlaps is in the way, with
 * it every listener. Of what does not listen the kernel alone knows whether it was made with the
 * option. So it is asked: a socket of ours is bound, with the option, and closed. In that moment
 * it can hinder a bind without the option to another address of the port (docs/DECISIONS.md).
 */
#include "why/verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/explain.h"
#include "observe/proc.h"
#include "observe/sock_ref.h"

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address_of(const struct endpoint *at, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->any.sa_family = at->family;
	if (at->family == AF_INET) {
		ret->in.sin_port = htons(port);
		memcpy(&ret->in.sin_addr, at->addr, sizeof(ret->in.sin_addr));
		return sizeof(ret->in);
	}
	ret->in6.sin6_port = htons(port);
	ret->in6.sin6_scope_id = at->scope;
	memcpy(&ret->in6.sin6_addr, at->addr, sizeof(ret->in6.sin6_addr));
	return sizeof(ret->in6);
}

/* Bind a socket of ours there, and close it. Return 0 or errno. */
static int try_bind(const struct endpoint *at, uint16_t port, bool reuse)
{
	const int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = reuse;
	union address address;
	const socklen_t len = address_of(at, port, &address);
	int err = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &address.any, len) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int verdict_try_address(const struct endpoint *at)
{
	const int err = try_bind(at, 0, false);

	return err == EADDRINUSE ? 0 : err; /* for want of a free port, which says nothing */
}

struct conflict_sock verdict_asker(const struct endpoint *at)
{
	const int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct asker asks;

	explain_asker(fd, at, false, &asks);
	if (fd >= 0)
		close(fd);
	return asks.sock;
}

void verdict_name_owner(struct verdict *verdict, const struct port *port)
{
	struct holders *holders = &verdict->why.more.holders;
	const struct owners *owners = port_owners(port, holders->inode);
	struct sharing sharing;

	if (!(verdict->why.notes &
	      (NOTE_BIT(NOTE_IN_USE_LISTENER) | NOTE_BIT(NOTE_IN_USE_BOUND))) ||
	    !owners || !owners->count)
		return;
	owners_sharing(&port->openings, owners, &sharing);
	if (!sharing.count)
		return;
	sharing_name(holders, sharing.named.pid, sharing.named.prog);
	sharing_tell(holders, owners->count - 1, sharing_judge(&sharing));
}

static void count_holders(struct holders *holders, const struct port *port,
			  const struct endpoint *at)
{
	const struct conflict_sock asks = verdict_asker(at);

	proc_port_range(&holders->first_port, &holders->last_port);
	for (size_t i = 0; i < port->count; i++)
		conflict_count(holders, &asks, &port->socks[i]);
	holders->had_option = true; /* said of what is in the way of a bind with it */
	holders->looked_up = true;
	conflict_cause(holders);
}

/* Without the option whatever overlaps is in the way. With it a listener is; of the rest, ask. */
static void judge_held(struct verdict *verdict, const struct port *port, const struct endpoint *at)
{
	const struct holders *holders = &verdict->why.more.holders;

	count_holders(&verdict->why.more.holders, port, at);
	if (!holders->listeners && !holders->bound && !holders->live && !holders->dying)
		return;
	verdict->without = EADDRINUSE;
	verdict->with = holders->listeners ? EADDRINUSE : try_bind(at, port->number, true);
	if (verdict->with == EADDRINUSE && conflict_note(holders) != NOTE_COUNT)
		verdict->why.notes |= NOTE_BIT(conflict_note(holders));
}

/* Is it for want of an address, or of a right, whoever is there? */
static bool is_refused(struct verdict *verdict, const struct endpoint *at, int err)
{
	struct event *why = &verdict->why;

	why->error = err ? err : EACCES;
	explain_bind(why, NO_HANDLE, at);
	if (!err && why->notes)
		err = EACCES; /* the port is privileged */
	verdict->without = verdict->with = err;
	return err != 0;
}

struct verdict verdict_of(const struct port *port, const struct endpoint *at)
{
	struct verdict verdict = {.why.sock.local = *at};

	if (!is_refused(&verdict, at, verdict_try_address(at)))
		judge_held(&verdict, port, at);
	return verdict;
}

bool verdict_same(const struct verdict *a, const struct verdict *b)
{
	return a->without == b->without && a->with == b->with && a->why.notes == b->why.notes &&
	       memcmp(&a->why.more.holders, &b->why.more.holders, sizeof(a->why.more.holders)) == 0;
}
