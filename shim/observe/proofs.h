/* SPDX-License-Identifier: MIT */
/*
 * proofs.h - which questions to sock_diag are known to find what they ask for.
 *
 * "Not found" says that a socket is gone only where the same kind of question has found such a
 * socket: a program of the kernel's (BPF, in load balancers) may show other addresses than the
 * kernel's tables have, and which device to ask for depends on the address. Such a socket is one of
 * this process with the same family and device asked for, and if accepted, with the same local
 * address; if connected, with the same peer.
 */
#ifndef OBSERVE_PROOFS_H
#define OBSERVE_PROOFS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "observe/diag.h"

/* Where id->opened is OPENED_UNKNOWN, nothing is like it. */
bool proofs_have(const struct diag_id *id);

/* It has just been found by that. */
void proofs_add(const struct diag_id *id);

/* Ask about a connection: diag_find_exact, or diag_find_multipath. If it is found, that is a proof.
 */
static inline int proofs_find(struct diag_id *id, struct diag_sock *ret)
{
	const int rc = id->protocol == IPPROTO_TCP ? diag_find_exact(id, ret)
						   : diag_find_multipath(id, ret);

	/* By any cookie it may have been another one. */
	if (rc == 1 && id->cookie != DIAG_ANY_COOKIE)
		proofs_add(id);
	return rc;
}

#endif
