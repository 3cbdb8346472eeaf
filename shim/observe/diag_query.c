/* SPDX-License-Identifier: MIT */
/*
 * diag_query.c - see diag_query.h.
 */
#include "observe/diag_query.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(offsetof(struct diag_query, request) == NLMSG_HDRLEN, "the request follows at once");
_Static_assert(offsetof(struct diag_query, protocol_head) ==
		       offsetof(struct diag_query, request) + sizeof(struct inet_diag_req_v2),
	       "the attribute follows the request at once");
_Static_assert(offsetof(struct diag_query, protocol) ==
		       offsetof(struct diag_query, protocol_head) + sizeof(struct nlattr),
	       "the attribute's value follows at once");

static void begin(struct diag_query *ret, uint16_t protocol, uint16_t family, uint16_t flags,
		  uint32_t seq)
{
	memset(ret, 0, sizeof(*ret));
	ret->header.nlmsg_len = sizeof(*ret);
	ret->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	ret->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	ret->header.nlmsg_seq = seq;
	ret->request.sdiag_family = (uint8_t)family;
	ret->request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	ret->request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

	/* The kernel takes the attribute's word where there is one (since 5.9). */
	if (protocol > 255) {
		ret->request.sdiag_protocol = IPPROTO_RAW;
		ret->protocol_head.nla_len = sizeof(struct nlattr) + sizeof(ret->protocol);
		ret->protocol_head.nla_type = INET_DIAG_REQ_PROTOCOL;
		ret->protocol = protocol;
	} else {
		ret->request.sdiag_protocol = (uint8_t)protocol;
		ret->header.nlmsg_len = offsetof(struct diag_query, protocol_head);
	}
}

void diag_query_exact(struct diag_query *ret, const struct diag_id *id, uint32_t seq)
{
	struct inet_diag_sockid *sock = &ret->request.id;

	begin(ret, id->protocol, id->local.family, 0, seq);
	ret->request.idiag_states = ~0u;
	sock->idiag_sport = htons(id->local.port);
	sock->idiag_dport = htons(id->peer.port);
	memcpy(sock->idiag_src, id->local.addr, sizeof(sock->idiag_src));
	memcpy(sock->idiag_dst, id->peer.addr, sizeof(sock->idiag_dst));
	sock->idiag_if = id->ifindex;
	sock->idiag_cookie[0] = (uint32_t)id->cookie;
	sock->idiag_cookie[1] = (uint32_t)(id->cookie >> 32);
}

/* inet_diag_dump_compat in the kernel's net/ipv4/inet_diag.c takes no family, and gives all. */
static void dump_both(struct diag_query *ret, uint16_t port, uint32_t kernel_states, uint32_t seq)
{
	memset(ret, 0, sizeof(*ret));
	ret->header.nlmsg_len = NLMSG_LENGTH(sizeof(ret->both_families));
	ret->header.nlmsg_type = TCPDIAG_GETSOCK;
	ret->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ret->header.nlmsg_seq = seq;
	ret->both_families.id.idiag_sport = htons(port);
	ret->both_families.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	ret->both_families.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	ret->both_families.idiag_states = kernel_states;
}

void diag_query_dump(struct diag_query *ret, uint16_t protocol, uint16_t family, uint16_t port,
		     uint32_t kernel_states, uint32_t seq)
{
	if (family == AF_UNSPEC) {
		dump_both(ret, port, kernel_states, seq);
		return;
	}
	begin(ret, protocol, family, NLM_F_DUMP, seq);
	ret->request.idiag_states = kernel_states;
	ret->request.id.idiag_sport = htons(port);
}

void diag_query_silence(struct diag_query *dump)
{
	const uint8_t info = 1u << (INET_DIAG_INFO - 1);

	if (dump->header.nlmsg_type == TCPDIAG_GETSOCK)
		dump->both_families.idiag_ext = info;
	else
		dump->request.idiag_ext = info;
}
