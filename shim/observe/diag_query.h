/* SPDX-License-Identifier: MIT */
/*
 * diag_query.h - questions to sock_diag (man 7 sock_diag), as bytes.
 */
#ifndef OBSERVE_DIAG_QUERY_H
#define OBSERVE_DIAG_QUERY_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stdint.h>

#include "reuse/event.h"

/* For the one socket with these addresses, whatever its cookie: or the one that listens there. */
#define DIAG_ANY_COOKIE UINT64_MAX

/* One socket, so described that the kernel can find it. */
struct diag_id {
	uint64_t cookie;
	uint64_t netns; /* sock_netns: its network namespace, 0 where not known */
	struct endpoint local, peer;
	uint32_t ifindex; /* SO_BINDTOIFINDEX, 0 where not bound to a device */
	uint16_t protocol;
	bool proven; /* the same question has found it before */
	/* OPENED_…, where the addresses are what the socket has told; else OPENED_UNKNOWN. */
	uint8_t opened;
};

struct diag_query {
	struct nlmsghdr header;
	union {
		struct {
			struct inet_diag_req_v2 request;
			struct nlattr protocol_head; /* a protocol above 255 (MPTCP) */
			uint32_t protocol;	     /* travels beside */
		};
		struct inet_diag_req both_families; /* the elder form, for TCP alone */
	};
};

/* For the one socket with these addresses and this cookie (not for MPTCP). */
void diag_query_exact(struct diag_query *ret, const struct diag_id *id, uint32_t seq);

/*
 * For all of a protocol and family with that local port (0: any), in these kernel
 * states. AF_UNSPEC: of both families in one walk, for TCP alone.
 */
void diag_query_dump(struct diag_query *ret, uint16_t protocol, uint16_t family, uint16_t port,
		     uint32_t kernel_states, uint32_t seq);

/* Such a question asks for the time since the last segment, too: the answer is about twice as long.
 */
void diag_query_silence(struct diag_query *dump);

#endif
