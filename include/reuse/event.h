/* SPDX-License-Identifier: MIT */
/*
 * event.h - one call of the program, as a value.
 *
 * The observers (shim/observe) fill it, the renderers (shim/log) read it, and
 * neither knows the other. It holds no pointers: it can be copied, kept, sent.
 */
#ifndef REUSE_EVENT_H
#define REUSE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/tcp.h"

enum call_id {
#define CALL(name, args, more) CALL_##name,
#include "reuse/calls.def"
	CALL_LOGGED, /* those above make events */
	CALL_LAST_LOGGED = CALL_LOGGED - 1,
#define CARRIER(name) CALL_##name,
#define MOMENT(name, args, more) CALL_##name,
#include "reuse/calls.def"
	CALL_COUNT
};

/* A set of calls, a bit each. */
#define CALL_BIT(call) (1u << (call))

enum note_id {
#define NOTE(id, code, holds) NOTE_##id,
#include "reuse/notes.def"
	NOTE_COUNT
};

/* A set of notes, a bit each. */
#define NOTE_BIT(note) (UINT64_C(1) << (note))
_Static_assert(NOTE_COUNT < 64, "a note more than a set of 64 bits has room for");
_Static_assert(CALL_COUNT <= 32, "a call more than a set of 32 bits has room for");

/*
 * Numbers of 64 bits lie alike in an event of every build: where a long has 32 bits, a struct
 * would align them to 4 bytes only. So programs of both record into one file (ring.h).
 */
typedef uint64_t wide_t __attribute__((aligned(8)));
typedef int64_t wide_signed_t __attribute__((aligned(8)));

/* One end of a connection. family 0: not known. port: host byte order. */
struct endpoint {
	uint16_t family; /* AF_INET, AF_INET6 or 0 */
	uint16_t port;
	uint32_t scope;	  /* interface of a link-local IPv6 address, else 0 */
	uint8_t addr[16]; /* AF_INET: the first 4, in network order */
};

/*
 * The parts of an event. Each has the first; its call (calls.def) tells which of the
 * two unions' members it may have, its notes (notes.def) which it has. What is
 * repeated may be any.
 */
enum event_part {
	PART_EVENT,
	PART_SOCKET, /* union event_args */
	PART_SOCKOPT,
	PART_BACKLOG,
	PART_HOW,
	PART_NEWFD,
	PART_FCNTL,
	PART_VALUE, /* union event_more */
	PART_HOLDERS,
	PART_CLOSED,
	PART_TOTALS,
	PART_DESCRIPTORS,
	PART_FIGURES,
	PART_REPEATED,
	PART_NOTHING,
	PART_PLAIN = PART_NOTHING,
};

enum { VIA_MAX = 8 };

enum { OPENED_UNKNOWN, OPENED_BY_US, OPENED_BY_PEER };

/* So long after a failure that was told equal ones are counted; the next is told again. */
#define REPEATED_FOR_NS UINT64_C(1000000000)

/*
 * Failures of a thread that one event tells: it is the last of them, and stands for so many
 * calls, itself included.
 */
struct repetition {
	wide_t times;
	wide_t since_ns; /* CLOCK_MONOTONIC, when the one told before had returned */
};

/* A TCP socket as one event shows it. */
struct sock_view {
	wide_t cookie; /* SO_COOKIE; 0: not known */
	struct endpoint local, peer;
	uint8_t was;   /* enum tcp_state_id, as are the next two */
	uint8_t state; /* when the call had returned */
	uint8_t via[VIA_MAX];
	uint8_t n_via;
	uint8_t opened; /* OPENED_…: who made the connection */
	bool has_timer;
	uint32_t timer_ms; /* how long the kernel still keeps the connection */
	uint32_t netns;	   /* SO_NETNS_COOKIE, where nothing was known of it before; 0: not known */
};

union event_args {
	struct {
		int domain, type, protocol;
	} socket;
	struct {
		int level, option;
	} sockopt;   /* its value: union event_more */
	int backlog; /* listen */
	int how;     /* shutdown */
	int newfd;   /* dup2, dup3 */
	struct {
		int command;
		wide_signed_t newfd;
	} fcntl;
};

/* The value of a socket option: the first bytes, and how many there were. */
struct option_value {
	uint32_t len;
	bool readable;
	uint8_t bytes[64];
};

/* What made the connections that are in the way, as far as their ports tell. */
enum dying_cause { CAUSE_UNKNOWN, CAUSE_OUTGOING, CAUSE_EITHER, CAUSE_NO_SHIM };

/* Who holds an address that could not be bound. Counts are of sockets in the way. */
struct holders {
	uint32_t listeners, bound, live, dying;
	uint32_t longest_ms;  /* of the dying: the longest time left */
	uint32_t without_end; /* of the dying: those that tell no time */
	uint32_t dying_in;    /* of the dying: the set of their states */
	/* The one to name: a listener if any, else a live one, else the last to go. */
	struct endpoint local, peer;
	uint32_t inode, uid;
	int32_t pid;	 /* 0: not found */
	uint32_t others; /* processes that have it too */
	char prog[16];
	int32_t own_fd; /* with `own`: its number here */
	int32_t tid;	/* of ours: a call of this thread is blocked on it; 0: none found */
	uint16_t first_port, last_port; /* what the kernel chooses from; 0: no word of it */
	uint32_t taken;			/* of these: how many somebody has */
	uint32_t outgoing;		/* of the dying: certainly with a port that it chose */
	uint8_t cause;			/* enum dying_cause */
	uint8_t state;
	bool looked_up;	     /* the owners were looked for to the end */
	bool brief;	     /* listeners alone were asked for, and no owner looked for */
	bool unsure;	     /* a listener that may share the port with ours: SO_REUSEPORT */
	bool had_option;     /* our socket has SO_REUSEADDR */
	bool more;	     /* there are others that there was no time for */
	bool own;	     /* this process has it open */
	bool fin_sent;	     /* by a shutdown, before the close that left it open */
	bool started_with;   /* with own: it had the descriptor when it was started */
	bool listen_fds;     /* with own: LISTEN_FDS names the descriptor */
	bool inherited;	     /* some owner has it from before it was executed */
	bool or_inherited;   /* the only one: or has made it itself */
	bool shared_by_fork; /* some owners have it by fork */
	bool dual_stack;     /* an IPv6 wildcard that takes IPv4, of the two in conflict */
};

/* What a process has open that could open no more. */
struct descriptors {
	uint32_t limit;	       /* of the process, or of the system; 0: not known */
	uint32_t tcp_at_least; /* TCP sockets of the process; 0: not counted */
	uint32_t queued;       /* connections that wait in the listener's queue */
	uint8_t mostly;	       /* the state of more than half of the sockets, where one is */
};

/* What only some calls have, and none has two of. */
union event_more {
	struct {
		struct option_value value;  /* setsockopt, getsockopt */
		struct repetition repeated; /* of any call, where it says nothing else here */
	};
	/*
	 * bind, listen: with in-use-…, shared-port; connect: address-taken; both:
	 * ports-exhausted; what closes: still-open
	 */
	struct holders holders;
	struct descriptors descriptors; /* what makes a descriptor: with no-descriptors */
	struct {
		int32_t fd;
		struct sock_view sock;
	} closed; /* dup2, dup3: the TCP socket that the call closed */
	struct {
		uint32_t of_state[STATE_COUNT]; /* sockets open, by state; 0: not known */
		uint32_t unlisted;		/* descriptors that there was no time for */
	} totals;				/* exit: the last of its events */
};

/* Why a close made the kernel send RST: bytes were not read, SO_LINGER 0, TCP_LINGER2 below 0. */
enum reset_cause { RESET_UNREAD, RESET_LINGER, RESET_LINGER2 };

/*
 * What TCP_INFO and errno prove of an attempt to connect that failed. An end that nobody has
 * read has no errno.
 */
enum refused_by { REFUSED_UNKNOWN, REFUSED_BY_RST, REFUSED_BY_ICMP, REFUSED_OR_LATE };
/* No route from here; an answer from there (or none of a neighbour); one that was not read. */
enum unreachable_how {
	UNREACHABLE_UNSURE,
	UNREACHABLE_HERE,
	UNREACHABLE_THERE,
	UNREACHABLE_UNREAD
};
/* What came back: not known, nothing, something, and nothing but perhaps ICMP at the end. */
enum timed_out_how { TIMED_OUT_UNKNOWN, TIMED_OUT_SILENT, TIMED_OUT_HEARD, TIMED_OUT_UNREAD };
/* And of one that reached itself: did the kernel choose its port, or was it bound to it? */
enum self_how { SELF_CHOSEN, SELF_BOUND };

/* The figures in the notes' sentences, each set with its note; and the age at exit. */
struct note_figures {
#define FIGURE(type, name, kind) type name;
#include "reuse/figures.def"
};

/*
 * What most events need stands first, what only some have comes last: the flight
 * recorder keeps no more of an event than says something (facts/event_shape.c).
 */
struct event {
	wide_t time_ns;	 /* CLOCK_REALTIME, when the call had returned */
	wide_t began_ns; /* CLOCK_MONOTONIC, before the real call */
	wide_t dur_ns;	 /* of the real call */
	wide_t seq;
	wide_signed_t ret;
	int32_t pid, tid;
	int32_t error; /* errno, 0 where the call succeeded */
	int32_t fd;
	uint8_t call; /* enum call_id */
	bool by_shim;
	bool has_fd, has_ret, has_sock, has_args;
	bool has_closed, has_totals;
	wide_t notes;	  /* set of enum note_id */
	uint32_t stack;	  /* the call site's number (facts/callsite.h); 0: no frames */
	bool tried_reuse; /* gentle: SO_REUSEADDR was on for a second try, in vain */
	uint8_t reuse;	  /* reuse-enabled: TCPSHIM_REUSE (enum reuse_mode) */
	uint8_t prepared; /* reuse-enabled: the SO_ options that were set (REUSED_…) */
	bool has_repeated;
	char prog[16];
	union event_args args;
	struct sock_view sock;
	union event_more more;
	struct note_figures figures;
};

enum { REUSED_ADDR = 1, REUSED_PORT = 2 };

#endif
