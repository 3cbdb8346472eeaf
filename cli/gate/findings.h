/* SPDX-License-Identifier: MIT */
/*
 * findings.h - what a gate finds wrong in the events of a tree of programs, and in what the kernel
 * shows of their sockets meanwhile: each kind at each place once, with how often. No I/O.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "gate/gate_options.h"
#include "gate/held.h"
#include "gate/images.h"
#include "observe/diag_parse.h"
#include "table.h"

/* A place in a program, as the events have it. */
struct code_place {
	char module[64], symbol[104]; /* the base name of its file; the symbol may be empty */
	uint64_t offset, symbol_offset;
};

/* Those that are told as one; each byte counts. */
struct finding_key {
	uint8_t code;	/* enum gate_code */
	uint8_t call;	/* that failed, or that closed it before */
	uint8_t state;	/* in which it was left */
	uint8_t detail; /* of a reset: its cause */
	int32_t error;
	uint32_t place, closed_place; /* for findings_place */
	char prog[16];
};

struct finding {
	struct finding_key key;
	uint64_t count;
	uint64_t most_ms;  /* in CLOSE_WAIT, at least */
	uint64_t first_ns; /* when the first was seen; of a close-wait: made */
	int32_t pid;	   /* of the first */
	char said[512];	   /* the note's sentence, of the first */
	/* For those who tell: the line of a suppression that took it, plus 1. */
	uint32_t suppressed;
};

struct findings {
	const struct gate_options *options;
	uint64_t our_netns; /* the kernel's cookie of it; 0: not known */
	/* A process in which there is something to be found: it may be gone in a moment. */
	void (*on_found)(void *with, int32_t pid);
	void *with;

	struct table rows, places;
	struct held held;
	struct images images;
	uint64_t events;
	uint64_t elsewhere;   /* sockets of another network namespace */
	uint64_t ends_unseen; /* images that told nothing at their end: found at finish */
};

/* Options, our_netns and on_found are the caller's, all else is zero. */
void findings_begin(struct findings *findings);
void findings_event(struct findings *findings, const struct event *ev);

/* One that is in CLOSE_WAIT now, by CLOCK_REALTIME. */
void findings_close_wait(struct findings *findings, const struct diag_sock *sock, uint64_t now_ns);

/*
 * Where many sockets are known, those that are gone are forgotten: the kernel is asked for all that
 * it has of connections, and when each has been told of, that were all.
 */
bool findings_hold_many(const struct findings *findings);
void findings_listed(struct findings *findings, uint64_t cookie);
void findings_forget(struct findings *findings);

/* There are no more events: what is missing of them is found. */
void findings_finish(struct findings *findings);
void findings_end(struct findings *findings);

/* NULL where it is not known. */
const struct code_place *findings_place(const struct findings *findings, uint32_t place);

/* The most frequent first; the caller frees it. NULL: none, or no memory. */
struct finding **findings_sorted(const struct findings *findings);

#endif
