/* SPDX-License-Identifier: MIT */
/*
 * turns.h - what takes long is done now and then. A program that tries again and again fails a
 * hundred thousand times a second: an explanation that costs more than a question or two is given
 * once a second, each kind for itself.
 *
 * A kind has a word: when its last turn was, and what came of it. It lies in the process page, so
 * that a forked child has a turn of its own, or in memory that a fork copies.
 */
#ifndef OBSERVE_TURNS_H
#define OBSERVE_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"
#include "sys/apart.h"

enum { TURN_MS = 1000 };

/*
 * When ev's call had returned, was that long after the last turn? Then this one is the caller's.
 * *ret_known: what came of the last one, 0 where it has not ended.
 */
bool turn_take(_Atomic(uint64_t) *word, uint32_t pause_ms, const struct event *ev,
	       uint32_t *ret_known);

/* The same where only the turn matters, each a second. */
bool turn_is_due(_Atomic(uint64_t) *word, const struct event *ev);

/* What came of the turn, for those who come before the next. */
void turn_keep(_Atomic(uint64_t) *word, uint32_t known);

/* What a helper has read into a uint32_t, once a second; 0 where it can't, or is about to. */
uint32_t turn_read(_Atomic(uint64_t) *word, const struct event *ev, apart_work *read);

/*
 * What is not worth waiting for, where nothing went wrong: when 5 ms of a second have gone to it,
 * none is begun any more. Return when it was begun, for the other, or 0.
 */
uint64_t spending_begin(_Atomic(uint64_t) *spent);
void spending_end(_Atomic(uint64_t) *spent, uint64_t begun_ns);

#endif
