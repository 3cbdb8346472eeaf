/* SPDX-License-Identifier: MIT */
/*
 * diag.h - ask sock_diag, over netlink sockets of our own.
 *
 * A few sockets are opened at load and anew in a forked child; a question about
 * one socket takes one by compare-and-swap and gives it back. Nothing waits: with
 * none free the question is asked over a fresh one, by a helper (sys/apart.h). A walk
 * over many (diag_dump) has one of its own, so that it can be broken off.
 */
#ifndef OBSERVE_DIAG_H
#define OBSERVE_DIAG_H

#include "observe/diag_parse.h"
#include "observe/diag_query.h"

/* At load, when events are logged: open the sockets. */
void diag_open(void);

/*
 * Does the kernel answer for this protocol at all? Only then does "not found"
 * say anything. Asked once, then remembered.
 */
bool diag_answers(uint16_t protocol);

/*
 * Find one socket. Return 1 found, 0 where the kernel knows none such, -errno
 * where it could not be asked; -EXDEV: not found, but a socket of that namespace
 * would not be seen from here, so that says nothing.
 */
int diag_find_exact(const struct diag_id *id, struct diag_sock *ret);

/*
 * The same by walking over all of its port and protocol: for MPTCP, and for the
 * listeners of a SO_REUSEPORT group, which an exact question picks by hash.
 * For a connection of MPTCP see the next.
 */
int diag_find_in_dump(const struct diag_id *id, uint32_t kernel_states, struct diag_sock *ret);

/*
 * The same for an MPTCP connection. When MPTCP has done with it, its first subflow, a TCP
 * connection with the same addresses, may still be there: in TIME_WAIT, for instance. Then
 * *id is the subflow's.
 */
int diag_find_multipath(struct diag_id *id, struct diag_sock *ret);

/* Which sockets a walk is over; port 0: of any. */
struct diag_scope {
	uint64_t netns; /* of these (sock_netns), or of wherever we are where it is 0 */
	uint16_t protocol, family, port;
	uint32_t kernel_states; /* bits */
	bool silence;		/* each with the time since its last segment */
};

/*
 * Walk over all of them; see diag_query_dump and diag_parse. -EXDEV: those of that
 * namespace are not seen from here. It opens a socket: only in a helper, or in a
 * program of our own.
 */
int diag_dump(const struct diag_scope *scope, diag_visit *visit, void *arg);

/* diag_find_exact over a socket made for it, likewise. */
int diag_find_exact_afresh(const struct diag_id *id, struct diag_sock *ret);

/*
 * diag_dump over one of the sockets that are kept: whatever the visitor returns, the
 * kernel's answer is read to its end. -EAGAIN where none is free.
 */
int diag_dump_kept(const struct diag_scope *scope, diag_visit *visit, void *arg);

#endif
