/* SPDX-License-Identifier: MIT */
/*
 * frames.c - see frames.h.
 */
#include "facts/frames.h"

enum { FRAMES = 4096, WAYS = 64 };

/* In the place of an address: never used; being filled, or struck out. */
enum { UNUSED = 0, TAKEN = 1 };

static struct frame *frames;

size_t frames_size(void)
{
	return FRAMES * sizeof(struct frame);
}

void frames_init(void *room)
{
	frames = room;
}

static struct frame *way_of(uint64_t address, unsigned int way)
{
	const uint64_t hash = address * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	return &frames[(hash + way) % FRAMES];
}

struct frame *frames_find(uint64_t address)
{
	for (unsigned int way = 0; frames && way < WAYS; way++) {
		struct frame *frame = way_of(address, way);
		const uint64_t here = atomic_load_explicit(&frame->address, memory_order_acquire);

		if (here == address)
			return frame;
		if (here == UNUSED)
			return NULL;
	}
	return NULL;
}

struct frame *frames_claim(uint64_t address)
{
	for (unsigned int way = 0; frames && way < WAYS; way++) {
		struct frame *frame = way_of(address, way);
		uint64_t unused = UNUSED;

		if (atomic_compare_exchange_strong(&frame->address, &unused, TAKEN))
			return frame;
	}
	return NULL;
}

void frames_enter(struct frame *frame, uint64_t address)
{
	atomic_store_explicit(&frame->address, address, memory_order_release);
}

uint64_t frames_number(const struct frame *frame)
{
	return (uint64_t)(frame - frames);
}

const struct frame *frames_at(uint64_t number)
{
	return frames && number < FRAMES ? &frames[number] : NULL;
}

void frames_strike_out(struct frame *frame)
{
	atomic_store_explicit(&frame->address, TAKEN, memory_order_relaxed);
}
