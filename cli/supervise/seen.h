/* SPDX-License-Identifier: MIT */
/*
 * seen.h - what is known of a followed call between its two stops, and the halves of each call: as
 * a hook of the library, cut in two at the real call. Between the halves no descriptor of the
 * program's is held.
 */
#ifndef CLI_SEEN_H
#define CLI_SEEN_H

#include "observe/attempt.h"
#include "observe/closing.h"
#include "observe/closings.h"
#include "observe/policy.h"
#include "reuse/event.h"
#include "supervise/watch.h"

struct waited {
	bool at_all, told, interrupted;
	uint64_t began; /* the socket that it is about */
	uint64_t start_ns;
};

struct seen {
	struct event ev;      /* from event_begin on */
	uint64_t began;	      /* observe_began */
	struct policy policy; /* bind, listen, connect */
	union {
		struct {
			struct waited waited;
			bool second; /* gentle: it is made again, with the option */
		} bind;
		struct attempt before;	/* connect */
		struct tcp_facts facts; /* shutdown */
		struct {
			struct closing what; /* close, dup2, dup3 */
			enum closing_kind kind;
		} closing;
		struct closings closings; /* close_range */
	};
};

/* An argument that is an int. */
static inline int seen_int(const struct call *call, unsigned int argument)
{
	return (int)call->is.args[argument];
}

/* Before: false where nothing is to be known of its end. Behind: the event is emitted. */
typedef bool seen_before(struct call *call);
typedef enum watch_wish seen_behind(struct call *call);

seen_before seen_enter_socket, seen_enter_bind, seen_enter_listen, seen_enter_connect,
	seen_enter_accept, seen_enter_setsockopt, seen_enter_getsockopt, seen_enter_shutdown,
	seen_enter_close, seen_enter_dup, seen_enter_dup_onto, seen_enter_fcntl,
	seen_enter_close_range;
seen_behind seen_leave_socket, seen_leave_bind, seen_leave_listen, seen_leave_connect,
	seen_leave_accept, seen_leave_setsockopt, seen_leave_getsockopt, seen_leave_shutdown,
	seen_leave_close, seen_leave_dup, seen_leave_dup_onto, seen_leave_close_range;

#endif
