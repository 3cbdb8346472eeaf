/* SPDX-License-Identifier: MIT */
/*
 * stage.h - where the steps of tcpshim demo play: what they call is told as the library logs it,
 * and both ends of a connection as the kernel has them then.
 *
 * The library is in this process and logs to a pipe of its own, which is read after each call.
 * What can't be done or does not come about ends the process with a line that says so: then the
 * step has not shown what it says.
 */
#ifndef CLI_STAGE_H
#define CLI_STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reuse/tcp.h"

struct stage {
	int events;    /* the pipe, to read from */
	bool by_hand;  /* wait for ENTER behind each sentence */
	bool markdown; /* for a page: what was run stands in blocks */
	bool colored;
	bool in_block; /* lines of a run have been written, and no sentence since */
	bool has_head; /* of the columns of ss, since the last call */
};

/* The process's exit status where who reads it has had enough. */
enum { STAGE_LEFT = 3 };

/* A step begins, with its name and what it shows. */
void stage_title(struct stage *stage, const char *name, const char *about);

/* A sentence, wrapped. It ends what was run before it: there ENTER is waited for. */
__attribute__((format(printf, 2, 3))) void stage_say(struct stage *stage, const char *format, ...);

/*
 * The calls that this process has made since the last time, as the library logged them, and as
 * whom; or those of another process. What others did meanwhile is not told.
 */
void stage_calls(struct stage *stage, const char *who);
void stage_calls_of(struct stage *stage, pid_t pid, const char *who);

/* They are not told: they were told before. */
void stage_hush(struct stage *stage);

/* What the library does not log, since it is none of its calls. */
__attribute__((format(printf, 3, 4))) void stage_did(struct stage *stage, const char *who,
						     const char *format, ...);

/* A line of a run. */
__attribute__((format(printf, 2, 3))) void stage_line(struct stage *stage, const char *format, ...);

/* A connection's ends by their ports; and who listens, whose peer is 0. */
struct link {
	uint16_t client, server;
};

/* Wait until both ends are in these states, and show them. */
void stage_ends(struct stage *stage, const struct link *link, enum tcp_state_id client,
		enum tcp_state_id server);

/* The same of one socket. */
void stage_end(struct stage *stage, const char *who, uint16_t local, uint16_t peer,
	       enum tcp_state_id state);

/* What the call has returned; the end of the process where that is below 0. */
int stage_must(int rc, const char *call);

/* The end of the process: what did not come about. */
__attribute__((noreturn, format(printf, 1, 2))) void stage_give_up(const char *format, ...);

#endif
