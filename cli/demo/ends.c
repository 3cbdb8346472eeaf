/* SPDX-License-Identifier: MIT */
/*
 * ends.c - see ends.h.
 *
 * A question of its own: of the two queues, the library's reader of answers (observe/diag_parse.h)
 * tells nothing, since no event needs them.
 */
#include "demo/ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "facts/names.h"
#include "observe/diag_query.h"

/* A message is four-byte aligned in the buffer, whatever the type of the buffer says. */
union answer {
	struct nlmsghdr head;
	char bytes[32768];
};

static void take(struct end *end, const struct inet_diag_msg *msg)
{
	enum { TIMER_TIME_WAIT = 3 };

	if (ntohs(msg->id.idiag_sport) != end->local || ntohs(msg->id.idiag_dport) != end->peer ||
	    msg->id.idiag_src[0] != htonl(INADDR_LOOPBACK))
		return;
	end->state = state_from_kernel(msg->idiag_state);
	end->recv_q = msg->idiag_rqueue;
	end->send_q = msg->idiag_wqueue;
	end->inode = msg->idiag_inode;
	end->left_ms = msg->idiag_timer == TIMER_TIME_WAIT ? msg->idiag_expires : 0;
}

/* One datagram of the answer. Return 1 where it was the last, 0 where more follow, or -errno. */
static int take_all(struct end *end, struct nlmsghdr *head, size_t len)
{
	for (; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		    head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			take(end, NLMSG_DATA(head));
	}
	return 0;
}

static int ask(struct end *end, int netlink)
{
	union answer answer;
	struct diag_query query;
	int rc = 0;

	diag_query_dump(&query, IPPROTO_TCP, AF_INET, end->local, ~0u, 1);
	if (send(netlink, &query, query.header.nlmsg_len, 0) < 0)
		return -errno;
	while (rc == 0) {
		const ssize_t len = recv(netlink, &answer, sizeof(answer), 0);

		if (len <= 0)
			return len < 0 ? -errno : -EIO;
		rc = take_all(end, &answer.head, (size_t)len);
	}
	return rc < 0 ? rc : 0;
}

int end_look(struct end *end)
{
	const int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int rc;

	*end = (struct end){.local = end->local, .peer = end->peer, .state = STATE_CLOSED};
	if (netlink < 0)
		return -errno;
	rc = ask(end, netlink);
	close(netlink);
	return rc;
}

static void out_loopback(struct out *out, uint16_t port)
{
	out_str(out, port ? "127.0.0.1:" : "0.0.0.0:*");
	if (port)
		out_u64(out, port);
}

void out_end(struct out *out, const struct end *end)
{
	enum { RECV_Q = 11, SEND_Q = 18, LOCAL = 25, PEER = 41 };
	static const char *const names[STATE_COUNT] = {
		[STATE_UNKNOWN] = "UNKNOWN",	   [STATE_CLOSED] = "UNCONN",
		[STATE_LISTEN] = "LISTEN",	   [STATE_SYN_SENT] = "SYN-SENT",
		[STATE_SYN_RCVD] = "SYN-RECV",	   [STATE_ESTABLISHED] = "ESTAB",
		[STATE_FIN_WAIT_1] = "FIN-WAIT-1", [STATE_FIN_WAIT_2] = "FIN-WAIT-2",
		[STATE_CLOSE_WAIT] = "CLOSE-WAIT", [STATE_CLOSING] = "CLOSING",
		[STATE_LAST_ACK] = "LAST-ACK",	   [STATE_TIME_WAIT] = "TIME-WAIT",
	};
	char text[128];
	struct out row = out_into(text, sizeof(text));

	out_str(&row, names[end->state]);
	out_column(&row, RECV_Q);
	out_u64(&row, end->recv_q);
	out_column(&row, SEND_Q);
	out_u64(&row, end->send_q);
	out_column(&row, LOCAL);
	out_loopback(&row, end->local);
	out_column(&row, PEER);
	out_loopback(&row, end->peer);
	out_mem(out, text, out_len(&row));
}
