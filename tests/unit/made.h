/* SPDX-License-Identifier: MIT */
/*
 * made.h - what several unit tests make: the question about a socket, an event that is recorded.
 */
#ifndef UNIT_MADE_H
#define UNIT_MADE_H

#include <netinet/in.h>
#include <unistd.h>

#include "log/ring.h"
#include "observe/diag.h"
#include "observe/tcp_state.h"

static inline struct diag_id diag_id_of(int fd)
{
	struct diag_id id = {
		.cookie = sock_cookie(fd),
		.netns = sock_netns(fd),
		.local = sock_local(fd),
		.peer = sock_peer(fd),
		.protocol = IPPROTO_TCP,
	};

	if (!id.netns)
		id.proven = true; /* before Linux 5.14 */
	return id;
}

static inline bool append_listen(uint64_t number)
{
	const struct event ev = {
		.call = CALL_listen,
		.seq = number,
		.pid = getpid(),
		.has_ret = true,
	};

	return ring_append(&ev);
}

#endif
