/* SPDX-License-Identifier: MIT */
/*
 * conflict.h - may two TCP sockets have the same port? The rule of the kernel
 * (inet_bind_conflict in net/ipv4/inet_connection_sock.c), for a bind to a port
 * that was asked for and for listen.
 */
#ifndef OBSERVE_CONFLICT_H
#define OBSERVE_CONFLICT_H

#include "observe/diag_parse.h"
#include "reuse/event.h"

/* One of the two, as far as the rule looks at it. */
struct conflict_sock {
	struct endpoint local;
	uint32_t ifindex; /* of the device that it is bound to, else 0 */
	uint32_t uid;
	uint8_t state; /* enum tcp_state_id */
	bool v6only;   /* the kernel makes it so where one native address is bound */
	bool reuseaddr, reuseport;
};

/* Would the kernel refuse the one that asks, because of the other? Same port, same namespace. */
bool conflict_between(const struct conflict_sock *asks, const struct conflict_sock *other);

/*
 * Do the two meet only because one of them, an IPv6 wildcard without IPV6_V6ONLY, is there
 * for IPv4 as well? Of two whose addresses overlap.
 */
bool conflict_is_dual_stack(const struct conflict_sock *asks, const struct conflict_sock *other);

/* May one that sock_diag found be in the way, as far as is seen: if it has no option? */
bool conflict_with_found(const struct conflict_sock *asks, const struct diag_sock *other);

/*
 * Count a socket that sock_diag found on the port, where it may be in the way. The
 * kernel does not show another socket's SO_REUSEADDR and SO_REUSEPORT: it may be
 * in the way where the rule refuses if it has neither. The range of ports stands in
 * *holders before, where it is known.
 */
void conflict_count(struct holders *holders, const struct conflict_sock *asks,
		    const struct diag_sock *other);

/*
 * What made them, when all are counted and had_option is known: fills cause. A connection
 * of a server has its peer in the range that the kernel chooses from, one to a server has
 * its own port there. The range stays in *holders only where the cause tells of it.
 */
void conflict_cause(struct holders *holders);

/*
 * Has that connection taken its port from the range that the kernel chooses from, and its peer not?
 * The range is first_port 0 where it is not known.
 */
bool conflict_is_outgoing(const struct diag_sock *sock, uint16_t first_port, uint16_t last_port);

/* The note that follows: in-use-…, or NOTE_COUNT where nobody was found. */
enum note_id conflict_note(const struct holders *holders);

/* A connection that no process has open, and that the kernel keeps for its end. */
bool conflict_is_dying(const struct diag_sock *sock);

#endif
