/*
 * observe.h - what the hooks ask for: an event filled with what the kernel says of
 * the socket.
 *
 * The observe_ functions return false where there is nothing to log: the call is
 * not logged, the descriptor is no TCP socket, or the memory is another
 * process's (a vfork child).
 */
#ifndef OBSERVE_OBSERVE_H
#define OBSERVE_OBSERVE_H

#include "observe/tcp_state.h"
#include "reuse/event.h"

struct attempt;

/* A call about the socket ev->fd that neither makes nor ends a connection. */
bool observe_call(struct event *ev);

/*
 * The shim's own call on a socket that is about to be bound, of which TCP_INFO has
 * just said state; setting an option does not change that. It was never a connection.
 */
bool observe_own_call(struct event *ev, uint8_t state);

/* enables_reuse: the call was to turn SO_REUSEADDR on. */
bool observe_setsockopt(struct event *ev, bool enables_reuse);

/*
 * Before a call that may wait: the cookie of the socket that it is about. When it returns, the
 * number may be another's. NO_TCP_SOCKET where it is none, 0 where that is not known.
 */
#define NO_TCP_SOCKET UINT64_MAX
uint64_t observe_began(enum call_id call, int fd);

/*
 * The same; and the socket may have got a local address by it. ev->sock.cookie: 0, or the bind's
 * socket, which has been asked for it in this call. asked: where it failed. began: what
 * observe_began said, here and below; 0 where the call has not waited. Where the number is another
 * socket's by now, or nobody's, the event is there, but nothing in it about a socket.
 */
bool observe_bind(struct event *ev, const struct endpoint *asked, uint64_t began);
bool observe_listen(struct event *ev);

/* TCPSHIM_WAIT begins: no call, so it takes nothing of what the bind's event is to tell. */
bool observe_wait(struct event *ev, const struct endpoint *asked);

/* What TCP_INFO says before a call whose way it belongs to; STATE_UNKNOWN where there is none. */
void observe_before(enum call_id call, int fd, struct tcp_facts *ret);

/* After a shutdown; before is what observe_before said. */
bool observe_shutdown(struct event *ev, const struct tcp_facts *before);

/* After a connect; before is what attempt_before said. */
bool observe_connect(struct event *ev, const struct endpoint *asked, const struct attempt *before,
		     uint64_t began);

/*
 * socket(): what was asked for is in ev->args. by_libc: it was libc's own, which makes that or
 * fails; another library may have made something else in its place.
 */
bool observe_socket(struct event *ev, bool by_libc);

/* accept: the new connection, or where it failed the listener. by_libc: libc's own has made it. */
bool observe_accept(struct event *ev, uint64_t began, bool by_libc);

/* And where that left its peer unknown: the address that accept itself has told. */
void observe_accepted_from(struct event *ev, const struct endpoint *peer);

/* dup and its kin, when they have returned: the socket that was copied. */
bool observe_dup(struct event *ev, uint64_t began);

/* At exit: an open descriptor. False where it is no TCP socket. */
bool observe_left_open(struct event *ev);

#endif
