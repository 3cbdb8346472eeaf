/* SPDX-License-Identifier: MIT */
/*
 * closing.h - a close in two halves: before it all that must be known to ask about
 * the socket when no descriptor is left, and after it the question.
 */
#ifndef OBSERVE_CLOSING_H
#define OBSERVE_CLOSING_H

#include "observe/backlog.h"
#include "observe/diag_query.h"
#include "observe/sock_ref.h"
#include "reuse/event.h"

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
	uint8_t attempt;     /* enum attempt_end: how an attempt to connect had failed */
	uint8_t syns;	     /* and how many segments it had sent */
	union {
		struct backlog queue; /* of what listens */
		struct {
			uint32_t unread;
			union {
				uint32_t silent_ms;  /* CLOSE_WAIT: since the last segment */
				uint32_t connect_ms; /* of the attempt, as in struct fd_note */
			};
		};
	};
	uint32_t stack; /* of the caller (facts/callsite.h) */
	int32_t copy;	/* another number of the socket, by our notes; -1: none */
	int32_t pid;	/* whose memory this is: process_owner() */
	struct sock_view view;
	struct diag_id id;
};

enum closing_kind {
	CLOSING_UNLOGGED, /* nothing to log, whatever happens */
	CLOSING_TCP,	  /* filled in */
	CLOSING_OTHER,	  /* an open descriptor that is no TCP socket */
	CLOSING_NOT_OPEN,
};

/* Before the real close. pid: what process_owner() has said in this call; 0: it was not asked. */
enum closing_kind observe_closing(struct closing *ret, enum call_id call, struct sock_ref ref,
				  int32_t pid);

/* After it: the state that is left, into the event. False where there is nothing to log. */
bool observe_closed(struct closing *closing, struct event *ev);

/* Instead of it, where the call failed and left the descriptor open. */
void observe_not_closed(const struct closing *closing);

/* The same for the socket at the target of a dup2, beside the one that was copied. */
void observe_closed_target(struct closing *closing, struct event *ev);

/* After a close that failed with EBADF: false where the number was never a TCP socket. */
bool observe_double_close(struct event *ev);

#endif
