/* SPDX-License-Identifier: MIT */
/*
 * callsite.c - see callsite.h.
 *
 * A number is a slot and the slot's version when the stack was written there, so
 * a number never means another stack than the one that it was given for (short of
 * half a million rewritings of one slot). The version is odd while somebody
 * writes. Who finds a slot being written goes on to the next: the writer may be
 * the very thread that a signal handler interrupted, or one that a fork left behind.
 */
#include "facts/callsite.h"

#include <stdatomic.h>

enum { SLOT_BITS = 12, SLOTS = 1 << SLOT_BITS, WAYS = 8 };

/* The bits of a version that a number has room for; the writer's bit is not among them. */
#define VERSION_MASK ((UINT32_C(1) << (32 - SLOT_BITS)) - 1)

struct slot {
	_Atomic(uint32_t) version; /* 0: never used */
	_Atomic(uint32_t) n;
	_Atomic(uint64_t) frames[CALLSITE_FRAMES];
};

static struct slot *slots;
static _Atomic(uint32_t) victim; /* which of the ways is overwritten next */

size_t callsites_size(void)
{
	return SLOTS * sizeof(struct slot);
}

void callsites_init(void *room)
{
	slots = room;
}

static uint64_t hash(const uint64_t *frames, unsigned int n)
{
	uint64_t sum = n;

	for (unsigned int i = 0; i < n; i++)
		sum = (sum ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return sum >> 20;
}

/* Never 0: the version of a written slot is even and its half counts from 1. */
static uint32_t id_of(const struct slot *slot, uint32_t version)
{
	const uint32_t generation = (version >> 1) & VERSION_MASK;

	return generation ? generation << SLOT_BITS | (uint32_t)(slot - slots) : 0;
}

/* Nobody wrote to it since it had that version. */
static bool unchanged(const struct slot *slot, uint32_t version)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&slot->version, memory_order_relaxed) == version;
}

static bool holds(const struct slot *slot, uint32_t version, const uint64_t *frames, unsigned int n)
{
	if (version == 0 || (version & 1) ||
	    atomic_load_explicit(&slot->n, memory_order_relaxed) != n)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (atomic_load_explicit(&slot->frames[i], memory_order_relaxed) != frames[i])
			return false;
	return unchanged(slot, version);
}

static uint32_t write_slot(struct slot *slot, uint32_t version, const uint64_t *frames,
			   unsigned int n)
{
	if ((version & 1) || !atomic_compare_exchange_strong(&slot->version, &version, version + 1))
		return 0;
	atomic_store_explicit(&slot->n, n, memory_order_release);
	for (unsigned int i = 0; i < n; i++)
		atomic_store_explicit(&slot->frames[i], frames[i], memory_order_release);
	atomic_store_explicit(&slot->version, version + 2, memory_order_release);
	return id_of(slot, version + 2);
}

uint32_t callsite_id(const uint64_t *frames, unsigned int n)
{
	if (n > CALLSITE_FRAMES)
		n = CALLSITE_FRAMES;
	if (!slots || n == 0)
		return 0;

	const uint64_t first = hash(frames, n);
	uint32_t id = 0;

	/* A stack that is here already; else the first of its ways that is free. */
	for (unsigned int way = 0; way < WAYS; way++) {
		struct slot *slot = &slots[(first + way) % SLOTS];
		const uint32_t version = atomic_load_explicit(&slot->version, memory_order_acquire);

		if (holds(slot, version, frames, n))
			return id_of(slot, version);
		if (version == 0) {
			id = write_slot(slot, version, frames, n);
			if (id)
				return id;
		}
	}
	for (unsigned int i = 0; i < WAYS && !id; i++) {
		const uint32_t way =
			atomic_fetch_add_explicit(&victim, 1, memory_order_relaxed) % WAYS;
		struct slot *slot = &slots[(first + way) % SLOTS];

		id = write_slot(slot, atomic_load(&slot->version), frames, n);
	}
	return id;
}

/* The slot of a number as it is now, NULL where it holds another stack. */
static struct slot *slot_of(uint32_t id, uint32_t *ret_version, unsigned int *ret_n)
{
	if (!slots || !id)
		return NULL;

	struct slot *slot = &slots[id % SLOTS];

	*ret_version = atomic_load_explicit(&slot->version, memory_order_acquire);
	*ret_n = atomic_load_explicit(&slot->n, memory_order_relaxed);
	if ((*ret_version & 1) || id_of(slot, *ret_version) != id || *ret_n > CALLSITE_FRAMES)
		return NULL;
	return slot;
}

unsigned int callsite_frames(uint32_t id, uint64_t *ret)
{
	unsigned int n;
	uint32_t version;
	const struct slot *slot = slot_of(id, &version, &n);

	if (!slot)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		ret[i] = atomic_load_explicit(&slot->frames[i], memory_order_relaxed);
	return unchanged(slot, version) ? n : 0;
}

bool callsite_frame(uint32_t id, unsigned int index, uint64_t *ret)
{
	unsigned int n;
	uint32_t version;
	const struct slot *slot = slot_of(id, &version, &n);

	if (!slot || index >= n)
		return false;
	*ret = atomic_load_explicit(&slot->frames[index], memory_order_relaxed);
	return unchanged(slot, version);
}
