/* SPDX-License-Identifier: MIT */
/*
 * diag_parse.h - answers of sock_diag, as bytes: from the kernel, a file or a fuzzer.
 */
#ifndef OBSERVE_DIAG_PARSE_H
#define OBSERVE_DIAG_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "reuse/event.h"

/* One socket as sock_diag shows it. */
struct diag_sock {
	uint64_t cookie;
	struct endpoint local, peer;
	uint32_t inode; /* 0: no process has it open any more */
	uint32_t uid;
	uint32_t ifindex;   /* of the device that it is bound to, else 0 */
	uint32_t timer_ms;  /* with has_timer */
	uint32_t silent_ms; /* since the last segment came in; 0 where that was not asked for */
	uint8_t state;	    /* enum tcp_state_id */
	bool v6only;	    /* told of listening and of bound sockets */
	bool unacked;	    /* of an end: more than its FIN is on the way, or not sent yet */
	bool has_timer;	    /* TIME_WAIT, FIN_WAIT_2 without a process: time left */
};

/* Is called for each socket; what it returns other than 0 ends the walk and is returned. */
typedef int diag_visit(const struct diag_sock *sock, void *arg);

/*
 * Walk one datagram of answers to the question with that number; messages with
 * another number (answers that came too late) are passed over, and in a dump what has no
 * port: such a socket ended between its being met and its being told of (inet_diag_dump_icsk
 * in the kernel's net/ipv4/inet_diag.c fills in the answer without the lock), and what became of
 * it is told of on its own.
 * Return 1 when the answer is complete, 0 when more datagrams follow (or this one
 * held nothing of ours), -errno where the kernel refused (-ENOENT: no such
 * socket, or nobody to ask) or the bytes are malformed (-EBADMSG), or what the
 * visitor returned.
 */
int diag_parse(const void *buf, size_t len, uint32_t seq, diag_visit *visit, void *arg);

#endif
