/* SPDX-License-Identifier: MIT */
/*
 * migrate.c - see migrate.h.
 */
#include "observe/migrate.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "observe/diag.h"
#include "observe/proc.h"
#include "observe/subject.h"
#include "sys/apart.h"
#include "sys/sys.h"

enum { FOUND = 2 }; /* 1 is that the walk is complete */

struct look {
	struct diag_scope scope;
	struct endpoint local;
	bool may;
};

static int visit(const struct diag_sock *sock, void *arg)
{
	return endpoint_same(&sock->local, arg) ? FOUND : 0;
}

/* Before 5.14 there is no such setting. */
static bool is_set(void)
{
	uint32_t set;
	uint16_t first, last;

	if (proc_numbers("/proc/sys/net/ipv4/tcp_migrate_req", &set, 1))
		return set != 0;
	return !proc_port_range(&first, &last);
}

static void look(void *arg)
{
	struct look *look = arg;

	look->may = is_set() && diag_dump(&look->scope, visit, &look->local) != 1;
}

bool migrate_may(uint64_t netns, const struct endpoint *local)
{
	struct look how = {
		.scope =
			{
				.netns = netns,
				.protocol = IPPROTO_TCP,
				.family = AF_UNSPEC,
				.port = local->port,
				.kernel_states = 1u << TCP_LISTEN,
			},
		.local = *local,
		.may = true,
	};

	if (!sys_on_alternate_stack() && !subject_is_elsewhere())
		apart_run(look, &how, sizeof(how));
	return how.may;
}
