/* SPDX-License-Identifier: MIT */
/*
 * work.c - see work.h.
 */
#include "sys/work.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sys.h"

enum { AREAS = 16 };

struct area {
	uint64_t blocked_before; /* which signals */
	char room[WORK_SIZE] __attribute__((aligned(16)));
};

static struct area *areas;

/*
 * Not wiped by a fork: an area that another thread was using then stays taken in the
 * child. It has others.
 */
static _Atomic(bool) taken[AREAS];

static struct area *map_areas(size_t n)
{
	void *room = sys_mmap_pages(n * sizeof(struct area));

	return sys_failed(room) ? NULL : room;
}

void work_init(void)
{
	if (!areas)
		areas = map_areas(AREAS);
}

/* One that nobody has, or one of its own: slot -1. NULL where there is no memory. */
static struct area *take_area(int *ret_slot)
{
	for (int slot = 0; areas && slot < AREAS; slot++) {
		if (atomic_load_explicit(&taken[slot], memory_order_relaxed) ||
		    atomic_exchange_explicit(&taken[slot], true, memory_order_acquire))
			continue;
		*ret_slot = slot;
		return &areas[slot];
	}
	*ret_slot = -1;
	return map_areas(1);
}

static struct area *area_of(const struct work *work)
{
	return (struct area *)(void *)(work->room - offsetof(struct area, room));
}

bool work_begin(struct work *ret)
{
	struct area *area;
	uint64_t before;

	if (sys_block_signals(&before) < 0)
		return false;
	area = take_area(&ret->slot);
	if (!area) {
		sys_unblock_signals(&before);
		return false;
	}
	area->blocked_before = before;
	ret->room = area->room;
	return true;
}

void work_let_signals_come(const struct work *work)
{
	sys_unblock_signals(&area_of(work)->blocked_before);
}

void work_end(const struct work *work)
{
	struct area *area = area_of(work);
	const uint64_t before = area->blocked_before;

	if (work->slot < 0)
		sys_munmap(area, sizeof(*area));
	else
		atomic_store_explicit(&taken[work->slot], false, memory_order_release);
	sys_unblock_signals(&before);
}
