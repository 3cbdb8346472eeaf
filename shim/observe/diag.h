/*
 * diag.h - ask sock_diag, over netlink sockets of our own.
 *
 * A few sockets are opened at load and anew in a forked child; a question about
 * one socket takes one by compare-and-swap and gives it back. Nothing waits: with
 * none free a fresh one is made for the question. A walk over many (diag_dump) has
 * one of its own, so that it can be broken off.
 */
#ifndef OBSERVE_DIAG_H
#define OBSERVE_DIAG_H

#include "observe/diag_parse.h"
#include "observe/diag_query.h"

/* At load, when events are logged: open the sockets. */
void diag_open(void);

/* Would sockets of that namespace (sock_netns) be found from here? 0 is not known: yes. */
bool diag_sees(uint64_t netns);

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

/* Walk over all sockets of a port; see diag_query_dump and diag_parse. */
int diag_dump(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
	      diag_visit *visit, void *arg);

/* The same of both families in all states, each with the time since its last segment. */
int diag_dump_silence(uint16_t port, diag_visit *visit, void *arg);

/* As diag_dump where few are expected: on a socket that is kept, and to the end in any case. */
int diag_dump_few(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
		  diag_visit *visit, void *arg);

#endif
