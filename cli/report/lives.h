/* SPDX-License-Identifier: MIT */
/*
 * lives.h - the lives of sockets, out of the events of any number of processes and hosts in order
 * of time: the states that each passed, and which two are the ends of one connection. No I/O.
 *
 * A socket is known by its host and its cookie. Two are one connection's where their addresses
 * mirror each other and their lives overlap, and where neither could be another one's: else it is
 * not known, and said so. A life ends with its close, or as much later as the kernel may keep it.
 */
#ifndef CLI_LIVES_H
#define CLI_LIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reuse/event.h"

enum { PATH_MOST = 15, PATH_PASSED = 0x80 };

/* The states of a socket, in order. PATH_PASSED: on the way, at a time that is not known. */
struct path {
	uint8_t state[PATH_MOST];
	uint8_t count : 4;
	bool cut : 1; /* there were more */
};

/* How long a state lasted, as far as the events tell: they see it begin and end between calls. */
struct stay {
	uint64_t least_ns, most_ns;
};

enum life_end { LIFE_OPEN, LIFE_LEFT /* at its process's end */, LIFE_CLOSED };

struct life {
	uint64_t cookie;
	uint32_t host;
	uint32_t netns; /* network namespace; 0: not known */
	uint32_t place; /* where it was made, by the caller's number; 0: not known */
	struct endpoint local, peer;
	char prog[16]; /* that was seen with it last */
	struct path path;
	uint8_t state;
	uint8_t end;	   /* enum life_end */
	bool connection;   /* it was one */
	bool wanted;	   /* the caller's: it is to be told of */
	bool late;	   /* an event came after a younger one: its states are left out */
	uint32_t marks;	   /* the caller's */
	void *own[2];	   /* likewise */
	bool ambiguous;	   /* there was more than one that could be its other end */
	struct life *mate; /* the other end; NULL: not known */
	uint64_t first_ns, last_ns, until_ns;
	uint64_t met_ns;   /* when both addresses were known of a connection */
	uint64_t timer_ns; /* so long the kernel keeps it after the last event; 0: not known */

	/* Of the state that it is in: seen from, to; and entered not before. */
	uint64_t seen_ns, seen_to_ns, before_ns;
	struct life *next_by_cookie;
	struct life *next_by_ends, *before_by_ends; /* of the same addresses, in this direction */
	struct life *next, *before;		    /* in order of their beginnings */
	bool paired;				    /* its other end has been looked for */
	bool listed;				    /* and it may be another's */
};

struct lives {
	uint64_t left_out; /* events of sockets that there was no room for */
	uint64_t dropped;  /* let go early, for want of room */
	/* A life is over; so is its mate's, of which the same is told before or after. */
	void (*on_end)(void *with, struct life *life);
	/* A life leaves that state. */
	void (*on_leave)(void *with, struct life *life, uint8_t state, const struct stay *stay);
	void *with;

	struct life **by_cookie, **by_ends;
	struct life *first, *last;
	size_t count, most;   /* most: so many are followed at a time */
	size_t ended, sweeps; /* those that are closed; at so many they are looked through */
	uint64_t now_ns;
};

/* False for want of memory. End it in any case. */
bool lives_begin(struct lives *lives, size_t most);

/*
 * The life of the socket that the event is about, with the event; NULL where it is about none that
 * is known. It is there until the next call.
 */
struct life *lives_event(struct lives *lives, uint32_t host, const struct event *ev);

/* That of the socket that dup2 or dup3 has closed. */
struct life *lives_closed(struct lives *lives, uint32_t host, const struct event *ev);

/* Did our own call end that state, without a way to it that is not known? */
bool lives_lasted_to_call(uint8_t state, uint8_t next);

/* There are no more events: all that are left are told of. */
void lives_end(struct lives *lives);

#endif
