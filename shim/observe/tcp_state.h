/*
 * tcp_state.h - what an open socket tells about itself: one question a function.
 */
#ifndef OBSERVE_TCP_STATE_H
#define OBSERVE_TCP_STATE_H

#include <stdint.h>

#include "reuse/event.h"

/* The state as TCP_INFO has it (enum tcp_state_id), or -errno: this is no TCP socket. */
int tcp_state(int fd);

/* SO_COOKIE: the socket's identity; 0 where it can't be had. */
uint64_t sock_cookie(int fd);

/* SO_NETNS_COOKIE: the network namespace's identity; 0 where it can't be had (before 5.14). */
uint64_t sock_netns(int fd);

/* An option of type int, or -errno. None of those that are asked for can be negative. */
int sock_option(int fd, int level, int option);

/* Family 0 where there is none. */
struct endpoint sock_local(int fd);
struct endpoint sock_peer(int fd);

/* Bytes that have arrived and were not read; 0 where there are none to speak of. */
int sock_unread(int fd);

/* Will a close send RST at once, because SO_LINGER is on with 0 seconds? */
bool sock_lingers_zero(int fd);

/* Milliseconds since the last segment came in. */
uint32_t sock_silent_ms(int fd);

/* Did segments of this connection go unanswered when it ended? */
bool sock_has_retransmitted(int fd);

/* Has this socket ever received a segment or sent one? */
bool sock_has_talked(int fd);

#endif
