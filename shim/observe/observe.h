/*
 * observe.h - what the hooks ask for: an event begun, ended, and filled with what
 * the kernel says of the socket.
 *
 * The observe_ functions return false where there is nothing to log: the call is
 * not logged, the descriptor is no TCP socket, or the memory is another
 * process's (a vfork child).
 */
#ifndef OBSERVE_OBSERVE_H
#define OBSERVE_OBSERVE_H

#include "observe/diag_query.h"
#include "observe/fdtable.h"
#include "observe/tcp_state.h"
#include "reuse/event.h"

struct sockaddr;

/* An address of the program's, read softly; family 0 where it is none or unreadable. */
struct endpoint observe_address(const struct sockaddr *addr, uint32_t len);

/* Before the real call: zero the event and start its clock. */
void event_begin(struct event *ev, enum call_id call, int fd);

/* Right after the real call: stop the clock. err: errno where it failed, else 0. */
void event_end(struct event *ev, int64_t ret, int err);

/* The same call's event about another socket. */
void event_next_socket(struct event *ev, int fd);

/* A call about the socket ev->fd that neither makes nor ends a connection. */
bool observe_call(struct event *ev);

/*
 * The shim's own call on a socket that is about to be bound, of which TCP_INFO has
 * just said state; setting an option does not change that. It was never a connection.
 */
bool observe_own_call(struct event *ev, uint8_t state);

/* enables_reuse: the call was to turn SO_REUSEADDR on. */
bool observe_setsockopt(struct event *ev, bool enables_reuse);

/* The same; and the socket may have got a local address by it. */
bool observe_bind(struct event *ev, const struct sockaddr *addr, uint32_t len);
bool observe_listen(struct event *ev);

/* What TCP_INFO says before a call whose way it belongs to; STATE_UNKNOWN where there is none. */
void observe_before(enum call_id call, int fd, struct tcp_facts *ret);

/* After a shutdown; before is what observe_before said. */
bool observe_shutdown(struct event *ev, const struct tcp_facts *before);

/* The local port before a call that may choose one; 0 where there is none. */
uint16_t observe_port(enum call_id call, int fd);

/* After a connect; had_port is what observe_port said. */
bool observe_connect(struct event *ev, const struct sockaddr *addr, uint32_t len,
		     uint16_t had_port);

/* socket(): what was asked for is in ev->args. */
bool observe_socket(struct event *ev);

/* accept: the new connection, or where it failed the listener. addr, len: the program's. */
bool observe_accept(struct event *ev, const struct sockaddr *addr, const uint32_t *len);

/* dup and its kin, when they have returned: the socket that was copied. */
bool observe_dup(struct event *ev);

/* What must be known of a socket before it is closed to tell its state afterwards. */
struct closing {
	int32_t fd;
	uint8_t before;	   /* the state measured just before the close */
	bool ask;	   /* after the close, where the socket is */
	uint8_t otherwise; /* the state then, where there is nothing to ask */
	bool by_dump;
	bool lingers_zero, keeps_no_fin_wait, was_reset;
	bool after_fin;	     /* a FIN of ours has gone out */
	uint8_t retransmits; /* as in struct tcp_facts */
	uint8_t unseen;	     /* SYN_SENT where no event has told of it */
	uint32_t unread;
	uint32_t queued;    /* of a listener, that nobody has accepted */
	uint32_t silent_ms; /* since the last segment */
	uint32_t stack;	    /* of the caller (facts/callsite.h) */
	struct sock_view view;
	struct diag_id id;
};

enum closing_kind {
	CLOSING_UNLOGGED, /* nothing to log, whatever happens */
	CLOSING_TCP,	  /* filled in */
	CLOSING_OTHER,	  /* an open descriptor that is no TCP socket */
	CLOSING_NOT_OPEN,
};

/* Before the real close. */
enum closing_kind observe_closing(struct closing *ret, enum call_id call, int fd);

/* After it: the state that is left, into the event. */
bool observe_closed(struct closing *closing, struct event *ev);

/* After a close that failed with EBADF: false where the number was never a TCP socket. */
bool observe_double_close(struct event *ev);

/* Instead of it, where the call failed and left the descriptor open. */
void observe_not_closed(const struct closing *closing);

/* The same for the socket at the target of a dup2. */
void observe_closed_target(struct closing *closing, struct event *ev);

/* dup2 and dup3: as observe_dup; closing (or NULL) is the socket that was closed by it. */
bool observe_dup_onto(struct event *ev, struct closing *closing);

/* At exit: an open descriptor. False where it is no TCP socket. */
bool observe_left_open(struct event *ev);

/* pid, tid and program; false in a vfork child. For events that are about no socket. */
bool observe_caller(struct event *ev);

#endif
