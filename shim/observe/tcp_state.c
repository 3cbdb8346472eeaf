/* SPDX-License-Identifier: MIT */
/*
 * tcp_state.c - see tcp_state.h.
 */
#include "observe/tcp_state.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h> /* the whole struct tcp_info, which libc's header cuts short */
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "sys/sys.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

bool tcp_is_none(int rc)
{
	return rc == -ENOTSOCK || rc == -EOPNOTSUPP || rc == -ENOPROTOOPT;
}

bool tcp_is_unanswered(int rc)
{
	return rc < 0 && rc != -EBADF && !tcp_is_none(rc);
}

/* What is no answer (of a filter, say, or for want of memory) may pass: then once more. */
static int ask_info(int handle, void *info, uint32_t *len)
{
	const uint32_t room = *len;
	const int rc = sys_getsockopt(handle, IPPROTO_TCP, TCP_INFO, info, len);

	if (!tcp_is_unanswered(rc))
		return rc;
	*len = room;
	return sys_getsockopt(handle, IPPROTO_TCP, TCP_INFO, info, len);
}

int tcp_state(int handle)
{
	uint8_t state;
	uint32_t len = sizeof(state); /* the first byte of struct tcp_info */
	const int rc = ask_info(handle, &state, &len);

	return rc < 0 ? rc : (int)state_from_kernel(state);
}

static uint64_t option_u64(int handle, int option)
{
	uint64_t value = 0;
	uint32_t len = sizeof(value);

	return sys_getsockopt(handle, SOL_SOCKET, option, &value, &len) < 0 ? 0 : value;
}

uint64_t sock_cookie(int handle)
{
	return option_u64(handle, SO_COOKIE);
}

uint64_t sock_netns(int handle)
{
	return option_u64(handle, SO_NETNS_COOKIE);
}

int sock_ifindex(int handle)
{
	return sock_option(handle, SOL_SOCKET, SO_BINDTOIFINDEX);
}

void sock_use_device(int handle, uint32_t ifindex)
{
	sys_setsockopt(handle, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex));
}

struct endpoint sock_local(int handle)
{
	union sock_addr addr;
	uint32_t len = sizeof(addr);
	struct endpoint end = {0};

	if (sys_getsockname(handle, &addr, &len) == 0)
		end = endpoint_from(&addr, len);
	if (end.port == 0)
		end.family = 0; /* not bound yet */
	return end;
}

struct endpoint sock_peer(int handle)
{
	union sock_addr addr;
	uint32_t len = sizeof(addr);

	if (sys_getpeername(handle, &addr, &len) < 0)
		return (struct endpoint){0};
	return endpoint_from(&addr, len);
}

int sock_unread(int handle)
{
	int bytes = 0;

	return sys_ioctl(handle, FIONREAD, &bytes) < 0 ? 0 : bytes;
}

/* Does POLLERR say more than that the connection has failed? */
static bool has_other_errors(int handle)
{
	static const struct {
		uint16_t level, option;
	} others[] = {
		{SOL_SOCKET, SO_ZEROCOPY},
		{SOL_SOCKET, SO_TIMESTAMPING},
		{IPPROTO_IP, IP_RECVERR},
		{IPPROTO_IPV6, IPV6_RECVERR},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (sock_option(handle, others[i].level, others[i].option) > 0)
			return true;
	return false;
}

bool sock_has_error(int handle)
{
	struct pollfd poll = {.fd = handle};

	return sys_poll_now(&poll) == 1 && (poll.revents & POLLERR) && !has_other_errors(handle);
}

bool sock_drops(int handle, uint32_t *ret)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	uint32_t len = sizeof(memory);

	if (sys_getsockopt(handle, SOL_SOCKET, SO_MEMINFO, memory, &len) < 0)
		return false;
	*ret = memory[SK_MEMINFO_DROPS];
	return true;
}

bool sock_lingers_zero(int handle)
{
	struct linger linger = {0};
	uint32_t len = sizeof(linger);

	return sys_getsockopt(handle, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
	       linger.l_onoff && linger.l_linger == 0;
}

bool sock_keeps_no_fin_wait(int handle)
{
	int seconds = 0;
	uint32_t len = sizeof(seconds);

	return sys_getsockopt(handle, IPPROTO_TCP, TCP_LINGER2, &seconds, &len) == 0 && seconds < 0;
}

/* Segments, or probes; the backoff stays when the others have been reset. */
static uint8_t unanswered(const struct tcp_info *info)
{
	const uint8_t probes =
		info->tcpi_probes > info->tcpi_backoff ? info->tcpi_probes : info->tcpi_backoff;

	return info->tcpi_retransmits > probes ? info->tcpi_retransmits : probes;
}

/* What every kernel tells, but not an emulator: qemu gives 4 bytes. */
enum { KNOWN_BY_ALL = offsetof(struct tcp_info, tcpi_notsent_bytes) };

/* By CLOSE alone a connection can be in TIME_WAIT, and no backlog is no word that it was cut. */
static void know_state_alone(struct tcp_facts *ret)
{
	if (ret->state == STATE_CLOSED)
		ret->state = STATE_UNKNOWN;
	ret->backlog = UINT32_MAX;
}

int tcp_ask(int handle, struct tcp_facts *ret)
{
	struct tcp_info info;
	uint32_t len = sizeof(info);
	const int rc = ask_info(handle, &info, &len);

	if (rc < 0)
		return rc;
	if (len < sizeof(info)) /* an older kernel knows less */
		memset((char *)&info + len, 0, sizeof(info) - len);

	const uint8_t state = (uint8_t)state_from_kernel(info.tcpi_state);

	*ret = (struct tcp_facts){
		.state = state,
		.was_connected = info.tcpi_bytes_acked || info.tcpi_bytes_received,
		.retransmits = unanswered(&info),
		.sent = (uint8_t)(info.tcpi_segs_out < UINT8_MAX ? info.tcpi_segs_out : UINT8_MAX),
		.has_sent = info.tcpi_segs_out || info.tcpi_retransmits,
		.has_delivered = info.tcpi_delivered != 0,
		.was_disconnected = !info.tcpi_segs_in,
		.has_unsent = info.tcpi_notsent_bytes != 0,
		.has_heard = info.tcpi_segs_in != 0,
		.silent_ms = info.tcpi_last_ack_recv,
		.queued = state == STATE_LISTEN ? info.tcpi_unacked : 0,
		.backlog = state == STATE_LISTEN ? info.tcpi_sacked : 0,
		.acked_beyond = (int64_t)(info.tcpi_bytes_acked - info.tcpi_bytes_sent +
					  info.tcpi_bytes_retrans),
	};
	if (len < KNOWN_BY_ALL)
		know_state_alone(ret);
	return 0;
}
