/* SPDX-License-Identifier: MIT */
/*
 * turns.c - see turns.h. A turn's word: milliseconds, never 0, above what is known. Of spending:
 * the second above its microseconds.
 */
#include "observe/turns.h"

#include <time.h>

#include "sys/clock.h"

enum { NS_OF_MS = 1000000, SECOND_NS = 1000000000, MOST_US = 5000 };

static uint32_t ms_of(const struct event *ev)
{
	const uint32_t ms = (uint32_t)((ev->began_ns + ev->dur_ns) / NS_OF_MS);

	return ms ? ms : 1;
}

bool turn_take(_Atomic(uint64_t) *word, uint32_t pause_ms, const struct event *ev,
	       uint32_t *ret_known)
{
	const uint32_t now = ms_of(ev);
	uint64_t last = atomic_load(word);
	/* A thread that comes late may have an earlier time than that of the last turn. */
	const bool due = !last || now - (uint32_t)(last >> 32) + pause_ms >= 2 * pause_ms;

	if (due && atomic_compare_exchange_strong(word, &last, (uint64_t)now << 32))
		return true;
	*ret_known = (uint32_t)last;
	return false;
}

uint32_t turn_read(_Atomic(uint64_t) *word, const struct event *ev, apart_work *read)
{
	uint32_t number = 0;

	if (turn_take(word, TURN_MS, ev, &number)) {
		apart_run(read, &number, sizeof(number));
		turn_keep(word, number);
	}
	return number;
}

bool turn_is_due(_Atomic(uint64_t) *word, const struct event *ev)
{
	uint32_t nothing;

	return turn_take(word, TURN_MS, ev, &nothing);
}

void turn_keep(_Atomic(uint64_t) *word, uint32_t known)
{
	atomic_store(word, (atomic_load(word) & ~(uint64_t)UINT32_MAX) | known);
}

uint64_t spending_begin(_Atomic(uint64_t) *spent)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC), before = atomic_load(spent);
	const bool this_second = before >> 32 == (uint32_t)(now / SECOND_NS);

	return this_second && (uint32_t)before >= MOST_US ? 0 : now;
}

void spending_end(_Atomic(uint64_t) *spent, uint64_t begun_ns)
{
	const uint64_t second = begun_ns / SECOND_NS, before = atomic_load(spent);
	const uint64_t us = (clock_ns(CLOCK_MONOTONIC) - begun_ns) / 1000;
	const uint32_t sum = before >> 32 == (uint32_t)second ? (uint32_t)before : 0;

	atomic_store(spent, second << 32 | (uint32_t)(sum + us));
}
