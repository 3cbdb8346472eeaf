/* SPDX-License-Identifier: MIT */
/*
 * held.h - the sockets that programs have open, by their cookies: where each was made, and by
 * whom. No I/O.
 */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct held_sock {
	uint64_t cookie;   /* 0: an empty place */
	uint64_t since_ns; /* its first event */
	uint32_t place;	   /* where it was made; 0: not known */
	int32_t pid;	   /* of its last event */
	uint32_t netns;	   /* 0: not known */
	uint16_t row;	   /* of the finding that it is one of: its place plus 1; 0: of none yet */
	bool left_out : 1; /* there was no room for that */
	bool mptcp : 1;	   /* made as one */
	bool listable : 1; /* as long as a program has it open, the kernel lists it as a connection
			    */
	bool listed : 1;   /* it does */
	bool missing : 1;  /* it did not, the last time, and there was no event since */
	char prog[16];
};

/* All else is zero before the first. */
struct held {
	struct held_sock *all;
	size_t count, slots;
	uint64_t left_out; /* for want of memory */
};

/* NULL where it is not there. It is there until the next call. */
struct held_sock *held_find(const struct held *held, uint64_t cookie);

/* The same, made where it is not there: zero but for the cookie. NULL for want of memory. */
struct held_sock *held_add(struct held *held, uint64_t cookie);

void held_remove(struct held *held, uint64_t cookie);

/*
 * Those that ended with their process tell nothing of it. The kernel is asked now and then, and
 * lists this one.
 */
void held_list(struct held *held, uint64_t cookie);

/*
 * All have been listed. Those that are missing for the second time are forgotten: what is still to
 * be told of them has been told in between. So are, where there are more than so many of those that
 * would not be listed, the elder of these; should they become connections, it is not known any more
 * where they were made.
 */
void held_forget(struct held *held, size_t others_most);
void held_end(struct held *held);

#endif
