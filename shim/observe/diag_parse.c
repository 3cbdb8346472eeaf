/* SPDX-License-Identifier: MIT */
/*
 * diag_parse.c - see diag_parse.h. Sees no socket; trusts no length.
 */
#include "observe/diag_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/names.h"

/* A message in its place, which a fuzzer's bytes need not align: a stack has no room for copies. */
typedef struct inet_diag_msg message __attribute__((aligned(1)));
typedef struct nlmsghdr header __attribute__((aligned(1)));

static void read_end(uint8_t family, const void *addr, __be16 port, struct endpoint *ret)
{
	ret->family = family;
	ret->port = ntohs(port);
	memcpy(ret->addr, addr, family == AF_INET ? 4 : 16);
}

/* All but its attributes. */
static void read_sock(const message *msg, struct diag_sock *ret)
{
	enum { TIMER_TIME_WAIT = 3, THE_FIN = 1 };

	memset(ret, 0, sizeof(*ret));
	ret->cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0];
	read_end(msg->idiag_family, msg->id.idiag_src, msg->id.idiag_sport, &ret->local);
	read_end(msg->idiag_family, msg->id.idiag_dst, msg->id.idiag_dport, &ret->peer);
	ret->inode = msg->idiag_inode;
	ret->uid = msg->idiag_uid;
	ret->ifindex = msg->id.idiag_if;
	ret->unacked = msg->idiag_wqueue > THE_FIN;
	ret->state = (uint8_t)state_from_kernel(msg->idiag_state);
	ret->has_timer = msg->idiag_timer == TIMER_TIME_WAIT;
	ret->timer_ms = ret->has_timer ? msg->idiag_expires : 0;
}

/* One attribute, whose value may be longer or shorter than this kernel's headers have it. */
static void read_attribute(uint16_t type, const char *value, size_t len, struct diag_sock *ret)
{
	const size_t silent_at = offsetof(struct tcp_info, tcpi_last_ack_recv);

	if (type == INET_DIAG_SKV6ONLY && len > 0)
		ret->v6only = value[0] != 0;
	if (type == INET_DIAG_INFO && len >= silent_at + sizeof(ret->silent_ms))
		memcpy(&ret->silent_ms, value + silent_at, sizeof(ret->silent_ms));
}

/* The attributes behind a message. */
static void read_attributes(const char *at, size_t len, struct diag_sock *ret)
{
	struct nlattr attr;

	while (len >= sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));

		const size_t step = NLA_ALIGN(attr.nla_len);

		if (attr.nla_len < sizeof(attr) || attr.nla_len > len)
			return;
		read_attribute(attr.nla_type, at + sizeof(attr), attr.nla_len - sizeof(attr), ret);
		at += step < len ? step : len;
		len -= step < len ? step : len;
	}
}

/* The errno of an error message or of a dump's end, 0 or negative. */
static int verdict(const char *body, size_t len)
{
	int32_t error = 0;

	if (len < sizeof(error))
		return -EBADMSG;
	memcpy(&error, body, sizeof(error));
	return error <= 0 && error > -4096 ? error : -EBADMSG;
}

int diag_parse(const void *buf, size_t len, uint32_t seq, diag_visit *visit, void *arg)
{
	const char *at = buf;

	while (len >= sizeof(struct nlmsghdr)) {
		const header *head = (const header *)(const void *)at;
		struct diag_sock sock;

		if (head->nlmsg_len < NLMSG_HDRLEN || head->nlmsg_len > len)
			return -EBADMSG;

		const char *body = at + NLMSG_HDRLEN;
		const size_t body_len = head->nlmsg_len - NLMSG_HDRLEN;
		const size_t step = NLMSG_ALIGN(head->nlmsg_len);

		at += step < len ? step : len;
		len -= step < len ? step : len;
		if (head->nlmsg_seq != seq)
			continue;
		if (head->nlmsg_type == NLMSG_ERROR || head->nlmsg_type == NLMSG_DONE) {
			const int rc = verdict(body, body_len);

			return rc < 0 ? rc : 1;
		}
		if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY && head->nlmsg_type != TCPDIAG_GETSOCK)
			continue;
		if (body_len < sizeof(message))
			return -EBADMSG;
		read_sock((const message *)(const void *)body, &sock);
		/* A dump fills in what it has met before: this one has ended in between. */
		if ((head->nlmsg_flags & NLM_F_MULTI) && !sock.local.port)
			continue;
		read_attributes(body + sizeof(message), body_len - sizeof(message), &sock);

		const int rc = visit(&sock, arg);

		if (rc)
			return rc;
		if (!(head->nlmsg_flags & NLM_F_MULTI))
			return 1; /* an exact question has one answer */
	}
	return 0;
}
