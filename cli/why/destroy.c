/* SPDX-License-Identifier: MIT */
/*
 * destroy.c - see destroy.h.
 */
#include "why/destroy.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/conflict.h"
#include "observe/diag_query.h"

enum fate destroy_judge(const struct diag_sock *sock)
{
	const unsigned int ends = STATE_BIT(STATE_FIN_WAIT_1) | STATE_BIT(STATE_FIN_WAIT_2) |
				  STATE_BIT(STATE_CLOSING) | STATE_BIT(STATE_LAST_ACK) |
				  STATE_BIT(STATE_TIME_WAIT);

	if (!(ends & STATE_BIT(sock->state)))
		return FATE_ALIVE;
	if (!conflict_is_dying(sock))
		return FATE_OPEN;
	if (sock->unacked)
		return FATE_UNSENT;
	return FATE_ENDED;
}

int destroy_open(void)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* The kernel's word on it: an error message, with 0 for "done". */
static int read_answer(int netlink, uint32_t seq)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} answer;
	ssize_t len;

	do {
		len = recv(netlink, &answer, sizeof(answer), MSG_TRUNC);
		if (len < 0 && errno != EINTR)
			return -errno;
	} while (len < (ssize_t)sizeof(answer) || answer.head.nlmsg_type != NLMSG_ERROR ||
		 answer.head.nlmsg_seq != seq);
	return answer.error.error;
}

int destroy_one(int netlink, const struct diag_sock *sock)
{
	static uint32_t seq;
	const struct diag_id id = {
		.cookie = sock->cookie,
		.local = sock->local,
		.peer = sock->peer,
		.ifindex = sock->ifindex,
		.protocol = IPPROTO_TCP,
	};
	struct diag_query query;

	/* A socket without a cookie could be taken for any other. */
	if (!sock->cookie || sock->cookie == DIAG_ANY_COOKIE)
		return -EINVAL;
	diag_query_exact(&query, &id, ++seq);
	query.header.nlmsg_type = SOCK_DESTROY;
	query.header.nlmsg_flags |= NLM_F_ACK;
	if (send(netlink, &query, query.header.nlmsg_len, 0) < 0)
		return -errno;
	return read_answer(netlink, seq);
}
