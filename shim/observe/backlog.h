/* SPDX-License-Identifier: MIT */
/*
 * backlog.h - the queue of a listener: the connections that are made and that nobody has
 * accepted. Is there room for another one, and was there?
 */
#ifndef OBSERVE_BACKLOG_H
#define OBSERVE_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/tcp_state.h"
#include "reuse/event.h"

/* A listener's queue at a look. */
struct backlog {
	uint32_t queued, allowed;
	uint32_t dropped; /* segments that the kernel has dropped since the last look */
};

/* The socket with this cookie, of which TCP_INFO says facts; asks one question more. */
struct backlog backlog_look(int handle, uint64_t cookie, const struct tcp_facts *facts);

/* The note on it, where there is something to tell. */
void backlog_note(struct event *ev, const struct backlog *backlog);

/* After a listen that worked. is_new: it has had no queue before. */
void backlog_of_listen(struct event *ev, int handle, const struct tcp_facts *facts, bool is_new);

/*
 * After an accept. Of one that worked the listener is asked at most once in 100 ms, since any
 * question would double what the others cost; of one that failed TCP_INFO has told it anyway.
 * listener: the cookie of the one that it began with.
 */
void backlog_of_accept(struct event *ev, int handle, uint64_t listener);
void backlog_of_failed_accept(struct event *ev, int handle, const struct tcp_facts *facts);

#endif
