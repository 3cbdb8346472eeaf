/* SPDX-License-Identifier: MIT */
/*
 * ends.h - one end of a connection on loopback, by sock_diag, in the form in which ss prints it.
 */
#ifndef CLI_ENDS_H
#define CLI_ENDS_H

#include <stdint.h>

#include "facts/out.h"
#include "reuse/tcp.h"

/* Who listens has the peer 0. */
struct end {
	uint16_t local, peer; /* ports of 127.0.0.1 */
	enum tcp_state_id state;
	uint32_t recv_q, send_q;
	uint32_t inode;	  /* 0: no process has it open */
	uint32_t left_ms; /* of TIME_WAIT, or of FIN_WAIT_2 without a process; else 0 */
};

/*
 * Ask for the one with end->local and end->peer, and fill in the rest: CLOSED where the kernel has
 * none. Return 0 or -errno.
 */
int end_look(struct end *end);

/* "ESTAB      0      0       127.0.0.1:41390 127.0.0.1:9999", as ss -tan has it. */
void out_end(struct out *out, const struct end *end);

#endif
