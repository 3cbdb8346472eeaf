/* SPDX-License-Identifier: MIT */
/*
 * observe.h - what the hooks ask for: an event filled with what the kernel says of
 * the socket.
 *
 * The observe_ functions return false where there is nothing to log: the call is
 * not logged, the descriptor is no TCP socket, or the memory is another
 * process's (a vfork child). handle: by which the event's socket is asked.
 */
#ifndef OBSERVE_OBSERVE_H
#define OBSERVE_OBSERVE_H

#include "observe/policy.h"
#include "observe/sock_ref.h"
#include "observe/tcp_state.h"
#include "reuse/event.h"

struct attempt;

/* A call about the socket ev->fd that neither makes nor ends a connection. */
bool observe_call(struct event *ev, int handle);

/* The shim's own setsockopt of a socket option that is an int: the event begins, before the call.
 */
void observe_own_option_begin(struct event *ev, int number, int option, int value,
			      const struct policy *policy);

/*
 * And after it, which returned rc. The socket is about to be bound, and TCP_INFO has just said
 * policy->state; setting an option does not change that. It was never a connection.
 */
bool observe_own_option(struct event *ev, int handle, int rc, struct policy *policy);

/* enables_reuse: the call was to turn SO_REUSEADDR on. */
bool observe_setsockopt(struct event *ev, int handle, bool enables_reuse);

/*
 * Before a call that may wait: the cookie of the socket that it is about. When it returns, the
 * number may be another's. NO_TCP_SOCKET where it is none, 0 where that is not known.
 */
#define NO_TCP_SOCKET UINT64_MAX
uint64_t observe_began(enum call_id call, struct sock_ref ref);

/*
 * The same; and the socket may have got a local address by it. ev->sock.cookie: 0, or the bind's
 * socket, which has been asked for it in this call. asked: where it failed. began: what
 * observe_began said, here and below; 0 where the call has not waited. Where the number is another
 * socket's by now, or nobody's, the event is there, but nothing in it about a socket.
 */
bool observe_bind(struct event *ev, int handle, const struct endpoint *asked, uint64_t began);
bool observe_listen(struct event *ev, int handle);

/*
 * TCPSHIM_WAIT begins, for at most limit_ms: no call, so it takes nothing of what the bind's event
 * is to tell. What stays longer than that, or nobody knows how long, is told with this limit.
 */
bool observe_wait(struct event *ev, int number, int handle, const struct endpoint *asked,
		  const struct holders *holders, uint32_t limit_ms);

/* What TCP_INFO says before a call whose way it belongs to; STATE_UNKNOWN where there is none. */
void observe_before(enum call_id call, int handle, struct tcp_facts *ret);

/* After a shutdown; before is what observe_before said. */
bool observe_shutdown(struct event *ev, int handle, const struct tcp_facts *before);

/* After a connect; before is what attempt_before said. */
bool observe_connect(struct event *ev, int handle, const struct endpoint *asked,
		     const struct attempt *before, uint64_t began);

/*
 * socket(): what was asked for is in ev->args. by_libc: it was libc's own, which makes that or
 * fails; another library may have made something else in its place.
 */
bool observe_socket(struct event *ev, int handle, bool by_libc);

/*
 * accept, when it has made a connection: ev->ret, whose handle is made. ev->fd is the listener's
 * number. by_libc: libc's own has made it.
 */
bool observe_accept(struct event *ev, int listener, int made, uint64_t began, bool by_libc);

/* And where that left its peer unknown: the address that accept itself has told. */
void observe_accepted_from(struct event *ev, int made, const struct endpoint *peer);

/* And where it has failed: the listener. */
bool observe_failed_accept(struct event *ev, int listener, uint64_t began);

/* dup and its kin, when they have returned: the socket that was copied. */
bool observe_dup(struct event *ev, int handle, uint64_t began);

/* At exit: an open descriptor. False where it is no TCP socket. */
bool observe_left_open(struct event *ev, int handle);

#endif
