/* SPDX-License-Identifier: MIT */
/*
 * frames.h - what is known of each place in the code that a walk has met: where it
 * lies, what it is called, and how to get from there to its caller.
 *
 * A place is entered once, whole, and read from then on without a lock. Where a
 * library was unloaded and another loaded to its addresses, the old entry is
 * struck out and a new one made. The table has a fixed size; what does not fit
 * any more is not known, and a walk ends there.
 */
#ifndef FACTS_FRAMES_H
#define FACTS_FRAMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_RULE_MAX = 256, FRAME_MODULE_MAX = 64, FRAME_SYMBOL_MAX = 104 };

struct frame {
	_Atomic(uint64_t) address;     /* set last; see frames.c for what is no address */
	uint64_t object;	       /* which loaded object it lies in (struct object) */
	uint64_t offset;	       /* in the object's file, as addr2line takes it */
	uint64_t symbol_offset;	       /* from the symbol, where there is one */
	uint16_t rule_len;	       /* 0: how to go on from here is not known */
	bool ours;		       /* the shim's own code */
	bool interrupts;	       /* where a signal handler returns to */
	char module[FRAME_MODULE_MAX]; /* base name; ends with 0, as does the next */
	char symbol[FRAME_SYMBOL_MAX]; /* empty: not known */
	_Alignas(16) unsigned char rule[FRAME_RULE_MAX]; /* the unwinder's own */
};

/* How much room the table needs, and where it is: zeroed, given once, at load. */
size_t frames_size(void);
void frames_init(void *room);

/* The entry of an address, NULL where there is none. */
struct frame *frames_find(uint64_t address);

/* An empty entry to fill, NULL where there is no room. Nobody sees it before frames_enter. */
struct frame *frames_claim(uint64_t address);
void frames_enter(struct frame *frame, uint64_t address);

/*
 * What a stack remembers of an entry, and the entry of that; NULL where it is none.
 * It stays true of what was, also when the entry has been struck out.
 */
uint64_t frames_number(const struct frame *frame);
const struct frame *frames_at(uint64_t number);

/* It is not true any more. */
void frames_strike_out(struct frame *frame);

#endif
