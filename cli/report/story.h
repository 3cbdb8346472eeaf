/* SPDX-License-Identifier: MIT */
/*
 * story.h - what a page shows of single sockets, beside the figures: the ways through the states
 * with the calls that took them, the steps of those connections that tell most, and when each
 * process was at work. No I/O.
 *
 * All of it is bounded, and what is not kept is counted.
 */
#ifndef CLI_STORY_H
#define CLI_STORY_H

#include "report/diagram.h"
#include "report/tally.h"
#include "table.h"

enum {
	LADDERS_MOST = 200,
	LADDER_STEPS_MOST = 80,
	STORY_ARROWS_MOST = 12,
	STORY_BINS = 120,
};

/* An event of a socket. */
struct step {
	uint64_t time_ns, dur_ns, notes;
	uint64_t times;
	int32_t pid, fd, ret, error;
	uint32_t timer_ms;
	uint8_t call, was, state, n_via, via[VIA_MAX];
	bool by_shim : 1, has_fd : 1, has_ret : 1, has_timer : 1;
};

struct arrow {
	uint8_t from, to;
	uint8_t call; /* that took it; CALL_COUNT: a segment did, or it is not known */
};

/* One socket, by its events: the first and the last of them. */
struct strand {
	struct step *steps;
	uint32_t count, room;
	uint32_t left_out; /* steps between the first and the last */
	uint32_t turn;	   /* among the last: the next to go */
	uint64_t first_ns, last_ns, cookie;
	struct endpoint local, peer;
	uint32_t host;
	int32_t pid; /* of its first event */
	char prog[16];
	uint8_t state, end;
	bool accepted, connection, failed, reset, leaked;
	uint8_t arrow_count;
	struct arrow arrows[STORY_ARROWS_MOST];
};

/* Why a connection is told, the most important first. */
enum ladder_kind {
	LADDER_FAILED,
	LADDER_RESET,
	LADDER_LEAKED,
	LADDER_SLOW,
	LADDER_OTHER,
	LADDER_KINDS
};

/* A connection. */
struct ladder {
	struct strand *ends[2]; /* who connected, and who accepted; NULL: not known */
	uint8_t kind;
	uint64_t weight; /* among its kind, the more the sooner it is told */
};

struct process_row {
	struct {
		uint64_t host;
		uint64_t pid;
		char prog[16];
	} key;
	uint64_t events, failed;
	uint64_t first_ns, last_ns;
	uint64_t width_ns; /* of a bin; the first begins with the first event */
	uint32_t bins[STORY_BINS], failed_bins[STORY_BINS];
};

struct story {
	struct tally_watch watch; /* for the tally */
	struct ways ways;
	struct table processes;
	struct ladder kept[LADDER_KINDS][LADDERS_MOST]; /* of each kind, in no order */
	size_t kept_count[LADDER_KINDS], lightest[LADDER_KINDS];
	uint64_t seen[LADDER_KINDS];
	size_t steps;				  /* in memory */
	uint64_t steps_left_out, arrows_left_out; /* for want of room */
};

/* All is zero before. End it in any case, after the tally. */
void story_begin(struct story *story);
void story_end(struct story *story);

/* Those that are told, the most important first: so many. They are there until story_end. */
size_t story_ladders(struct story *story, const struct ladder *ret[LADDERS_MOST]);

#endif
