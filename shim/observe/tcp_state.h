/* SPDX-License-Identifier: MIT */
/*
 * tcp_state.h - what an open socket tells about itself: one question a function.
 */
#ifndef OBSERVE_TCP_STATE_H
#define OBSERVE_TCP_STATE_H

#include <stdint.h>

#include "reuse/event.h"
#include "sys/sys.h"

/* The state as TCP_INFO has it (enum tcp_state_id), or -errno: this is no TCP socket. */
int tcp_state(int handle);

/* Of what tcp_state and tcp_ask return: is it the kernel's word that an open descriptor is none? */
bool tcp_is_none(int rc);

/* Or no word on it at all, when asked twice? It may be a TCP socket then. */
bool tcp_is_unanswered(int rc);

/* The same with what else TCP_INFO knows, at the same price. */
struct tcp_facts {
	uint8_t state;
	uint8_t retransmits;	   /* of what went unanswered when it ended, or does now */
	uint8_t sent;		   /* segments handed to IP, at most 255; 0 after a disconnect */
	bool was_connected : 1;	   /* the peer has acknowledged something, or sent something */
	bool has_sent : 1;	   /* a segment has been handed to IP, if only a SYN */
	bool has_delivered : 1;	   /* the peer has acknowledged something, if only a SYN */
	bool was_disconnected : 1; /* by connect to AF_UNSPEC: the counts begin anew */
	bool has_unsent : 1;	   /* bytes, or the FIN, that the peer has no room for yet */
	bool has_heard : 1;	   /* a segment has come in, whatever became of it */
	uint32_t silent_ms;	   /* since the last segment came in: every one has an ACK */
	uint32_t queued;	   /* LISTEN: connections that nobody has accepted */
	uint32_t backlog;	   /* LISTEN: as it is in force; one more has room in the queue */
	/* Acknowledged beyond the bytes sent: 1 for a SYN of ours, 1 for a FIN of ours. */
	int64_t acked_beyond;
};

/* Return 0, or -errno: this is no TCP socket. */
int tcp_ask(int handle, struct tcp_facts *ret);

/* SO_COOKIE: the socket's identity; 0 where it can't be had. */
uint64_t sock_cookie(int handle);

/* SO_NETNS_COOKIE: the network namespace's identity; 0 where it can't be had (before 5.14). */
uint64_t sock_netns(int handle);

/* An option of type int, or -errno. None of those that are asked for can be negative. */
static inline int sock_option(int handle, int level, int option)
{
	int value = 0;
	uint32_t len = sizeof(value);
	const int rc = sys_getsockopt(handle, level, option, &value, &len);

	return rc < 0 ? rc : value;
}

/* The device that it is bound to, 0 for none; -errno where it can't be had (before 5.7). */
int sock_ifindex(int handle);

/* Bind one of our own to a device. */
void sock_use_device(int handle, uint32_t ifindex);

/* Family 0 where there is none. */
struct endpoint sock_local(int handle);
struct endpoint sock_peer(int handle);

/* Bytes that have arrived and were not read; 0 where there are none to speak of. */
int sock_unread(int handle);

/*
 * Is an error waiting to be read by the program? Asks without reading it. False where poll would
 * say the same of what a living connection brings: ICMP (IP_RECVERR), times and buffers of sending.
 */
bool sock_has_error(int handle);

/*
 * How many segments the kernel has dropped at this socket since it was made; of a listener mostly
 * those that found its queue full. False where that can't be had (before 4.12).
 */
bool sock_drops(int handle, uint32_t *ret);

/* Will a close send RST at once, because SO_LINGER is on with 0 seconds? */
bool sock_lingers_zero(int handle);

/* Will a close in FIN_WAIT_2 send RST, because TCP_LINGER2 is below 0? */
bool sock_keeps_no_fin_wait(int handle);

#endif
