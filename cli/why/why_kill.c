/* SPDX-License-Identifier: MIT */
/*
 * why_kill.c - tcpshim why --kill-dying, and what is told of it. Nothing is ended that the kernel
 * has not shown as an orphan a moment ago; nothing can have become of that but its end.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "why/why.h"

/* Who would ask: one for each address. */
struct askers {
	struct conflict_sock all[WHERE_MOST + 1];
	unsigned int count;
};

static struct askers askers_of(const struct why *why)
{
	const struct endpoint v6 = {.family = AF_INET6, .port = why->port.number};
	struct askers ret = {.count = 0};

	for (unsigned int i = 0; i < why->answer_count; i++)
		ret.all[ret.count++] = verdict_asker(&why->answers[i].at);
	if (why->answers[0].for_both)
		ret.all[ret.count++] = verdict_asker(&v6);
	return ret;
}

static bool is_in_the_way(const struct askers *askers, const struct diag_sock *sock)
{
	for (unsigned int i = 0; i < askers->count; i++)
		if (conflict_with_found(&askers->all[i], sock))
			return true;
	return false;
}

static enum fate end(struct why *why, int netlink, const struct diag_sock *sock)
{
	const int rc = netlink < 0 ? netlink : destroy_one(netlink, sock);

	if (rc == -ENOENT)
		return FATE_GONE;
	if (rc < 0)
		why->kill_error = -rc;
	return rc < 0 ? FATE_FAILED : FATE_ENDED;
}

void why_kill_dying(struct why *why)
{
	const struct askers askers = askers_of(why);
	const int netlink = destroy_open();

	why->killed = true;
	for (size_t i = 0; i < why->port.count; i++) {
		const struct diag_sock *sock = &why->port.socks[i];
		enum fate fate = destroy_judge(sock);

		if (!is_in_the_way(&askers, sock))
			continue;
		if (fate == FATE_ENDED)
			fate = end(why, netlink, sock);
		why->fates[fate][sock->state]++;
	}
	if (netlink >= 0)
		close(netlink);
}
