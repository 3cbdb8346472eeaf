/* SPDX-License-Identifier: MIT */
/*
 * callsite.h - distinct stacks of the program, a small number each.
 *
 * A stack is a list of numbers, nearest caller first: frames.h has what each stands
 * for. An event, or a note about a socket, remembers where it came from by that number.
 * The table has a fixed size and takes no lock. When it is full, a new stack
 * takes the place of an old one, whose number then stands for nothing any more.
 */
#ifndef FACTS_CALLSITE_H
#define FACTS_CALLSITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALLSITE_FRAMES = 32 };

/* How much room the table needs, and where it is: zeroed, given once, at load. */
size_t callsites_size(void);
void callsites_init(void *room);

/* The number of this stack (the first 32 frames); 0 where there is none to give. */
uint32_t callsite_id(const uint64_t *frames, unsigned int n);

/*
 * The frames of the stack with that number, at most CALLSITE_FRAMES, into ret.
 * Return how many; 0 where the number stands for none, or none any more.
 */
unsigned int callsite_frames(uint32_t id, uint64_t *ret);

/* One of its frames alone, for who has no room for all; false where there are no more. */
bool callsite_frame(uint32_t id, unsigned int index, uint64_t *ret);

#endif
