/* SPDX-License-Identifier: MIT */
/*
 * tally.h - what is counted of events and of the lives of sockets: the figures of tcpshim report.
 * No I/O.
 */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "events/inputs.h"
#include "report/lives.h"
#include "table.h"

/* What is wrong, the most important first. */
enum found {
	FOUND_BIND,
	FOUND_LEFT,
	FOUND_CLOSE_WAIT,
	FOUND_DOUBLE_CLOSE,
	FOUND_RESET,
	FOUND_QUEUE_RESET,
	FOUND_PEER_RESET,
	FOUND_REFUSED,
	FOUND_TIMED_OUT,
	FOUND_UNREACHABLE,
	FOUND_DESCRIPTORS,
	FOUND_BACKLOG,
	FOUND_STORM,
	FOUND_LOST,
	FOUND_COUNT
};

/* What FOUND_CLOSE_WAIT's detail says. */
enum { CLOSED_LATE, LEFT_AT_EXIT, OPEN_AT_THE_END };

/* Findings that are told together; each byte counts. */
struct found_key {
	uint8_t found;
	uint8_t call;	/* that failed, or that closed it before */
	uint8_t state;	/* in which it was left */
	uint8_t detail; /* of a reset: its cause */
	int32_t error;
	uint32_t place, closed_place;
	uint64_t host;
	struct endpoint at; /* family 0: none */
	char prog[16], other[16];
};

struct found_row {
	struct found_key key;
	uint64_t count;
	uint64_t most_ms;
	char said[512];
};

struct call_row {
	struct {
		uint32_t call : 31, by_shim : 1;
		int32_t error;
	} key;
	uint64_t count, longest_ns;
};

struct path_row {
	struct {
		struct path path;
		uint8_t end; /* enum life_end */
		uint8_t unused[7];
	} key;
	uint64_t count;
};

struct listener_row {
	struct {
		uint64_t host;
		struct endpoint at;
		char prog[16];
	} key;
	uint64_t accepted, listens;
	int32_t backlog; /* as it was asked for last; -1: not seen */
};

/* How long sockets were in a state: those that were seen to leave it. */
struct stays {
	uint64_t count, least_ns, most_ns;
	uint64_t longest_ns; /* at least */
};

/* Calls in a second: in the one that is under way, and in that with the most. */
struct rate {
	uint64_t total, second, in_second, peak;
};

struct tally_filter {
	uint64_t since_ns;
	const char *program; /* NULL: all */
	uint16_t port;	     /* 0: all */
	uint8_t state;	     /* STATE_UNKNOWN: all */
};

/* Who is told, beside the figures, what these are made of. What is NULL is not called. */
struct tally_watch {
	/* One that the filter lets through. */
	void (*on_event)(void *with, const struct input_event *event);
	/* Of a socket whose life is known, whether it is wanted or not: as the event shows it. */
	void (*on_step)(void *with, struct life *life, const struct input_event *event,
			const struct sock_view *sock);
	/* As of struct lives. */
	void (*on_leave)(void *with, struct life *life, uint8_t state, const struct stay *stay);
	void (*on_end)(void *with, struct life *life);
	void *with;
};

/* Each has a place of its own in a life (own). */
enum { WATCH_STORY, WATCH_TRACE, TALLY_WATCHES };

struct tally {
	struct tally_filter filter;
	const struct tally_watch *watches[TALLY_WATCHES]; /* NULL: none */
	struct table found, calls, paths, listeners, programs;
	struct lives lives;
	struct stays stays[STATE_COUNT];
	struct rate accepts, connects;
	uint64_t found_of[FOUND_COUNT]; /* all of a kind, also those of which there is no row */
	uint64_t events, failed_calls, all_calls;
	uint64_t first_ns, last_ns;
	uint64_t connections, joined, ambiguous; /* ends of connections */
	uint64_t open[STATE_COUNT];		 /* when the events end */
	uint64_t late;				 /* lives with events out of order */
};

/* The filter is the caller's, all else is zero. False for want of memory. */
bool tally_begin(struct tally *tally);
void tally_event(struct tally *tally, const struct input_event *event);

/* There are no more. */
void tally_finish(struct tally *tally);
void tally_end(struct tally *tally);

/* Does a call that fails so wait by it? Then it is no fault. */
bool tally_is_waiting(int error);

/* Is anything wrong? */
bool tally_is_wrong(const struct tally *tally);

/* The rows of a table in the order of importance; the caller frees it. NULL: none, or no memory. */
const void **tally_sorted(const struct table *table, int (*compare)(const void *, const void *));
int tally_by_finding(const void *a, const void *b);
int tally_by_call(const void *a, const void *b);
int tally_by_path(const void *a, const void *b);
int tally_by_listener(const void *a, const void *b);

#endif
