/* SPDX-License-Identifier: MIT */
/*
 * destroy.h - end TCP sockets of the kernel's that no process has any more (sock_diag's
 * SOCK_DESTROY; CAP_NET_ADMIN). In the tool alone: the library can't.
 */
#ifndef CLI_DESTROY_H
#define CLI_DESTROY_H

#include "observe/diag_parse.h"

/* What becomes of one. */
enum fate {
	FATE_ENDED,
	FATE_GONE,   /* it has ended by itself meanwhile */
	FATE_OPEN,   /* a program has it, and may be waiting for what still comes */
	FATE_UNSENT, /* bytes are still on their way to the peer */
	FATE_ALIVE,  /* it is no end of a connection */
	FATE_FAILED,
	FATE_COUNT
};

/*
 * May it be ended without harm? FATE_ENDED: yes. Only an orphan may, in TIME_WAIT, or in another
 * state behind our FIN with nothing but the FIN itself unacknowledged.
 */
enum fate destroy_judge(const struct diag_sock *sock);

/* A netlink socket for it, or -errno. */
int destroy_open(void);

/*
 * End that very socket: by addresses, device, and the cookie that was found, so that never another
 * one is met that has its addresses by now. Return 0, -ENOENT where it is not there any more, or
 * -errno.
 */
int destroy_one(int netlink, const struct diag_sock *sock);

#endif
