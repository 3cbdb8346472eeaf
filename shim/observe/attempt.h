/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - an attempt to connect that has failed: what its error and TCP_INFO prove of it.
 *
 * The error of one that did not wait comes later: from getsockopt(SO_ERROR) or a second connect,
 * or from no call that is seen. Each end is told once.
 */
#ifndef OBSERVE_ATTEMPT_H
#define OBSERVE_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/sock_ref.h"
#include "observe/tcp_state.h"
#include "reuse/event.h"

/* What must be known before a connect. */
struct attempt {
	uint16_t port;	/* that it had; it may be one that an earlier attempt has left */
	bool had_port;	/* or nothing is known of it */
	bool under_way; /* an earlier one has not ended, or this call will tell how it did */
	struct tcp_facts facts; /* then: the kernel forgets them when it has told */
};

void attempt_before(struct sock_ref ref, struct attempt *ret);

/* Has this connect sent a SYN, as far as its error and port tell? */
bool attempt_sent_syn(const struct event *ev, const struct attempt *before);

/* Has it ended one by its failure? Of a socket that is CLOSED then. */
bool attempt_is_over(const struct event *ev, const struct attempt *before);

/* What fd_note keeps of the time at which one has begun. Never 0. */
uint32_t attempt_begun(const struct event *ev);

/*
 * After a connect that failed, ev->sock.peer being what it was to, or the attempt that was
 * under_way. connect_ms: when that began.
 */
void attempt_of_connect(struct event *ev, int handle, const struct attempt *before,
			const struct tcp_facts *after, uint32_t connect_ms);

/* After getsockopt(SO_ERROR), with the value that it gave in ev->more. */
void attempt_of_error(struct event *ev, int handle);

/* Of a socket that is CLOSED: what ended the attempt whose error nobody is seen to have read? */
enum attempt_end { ATTEMPT_NONE, ATTEMPT_RST, ATTEMPT_ICMP, ATTEMPT_TIME, ATTEMPT_RST_OR_TIME };
enum attempt_end attempt_unread(int handle, const struct tcp_facts *facts);

/* And after its close. syns: the segments that were sent. */
void attempt_of_close(struct event *ev, enum attempt_end end, uint8_t syns, uint32_t connect_ms);

#endif
