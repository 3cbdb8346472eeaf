/* SPDX-License-Identifier: MIT */
/*
 * held.c - see held.h. A table that is probed in order; where one is taken out, those behind it
 * that it had pushed away move up.
 */
#include "gate/held.h"

#include <stdlib.h>

#include "facts/sum.h"

static size_t home_of(const struct held *held, uint64_t cookie)
{
	return (size_t)sum_word(SUM_BEGIN, cookie) & (held->slots - 1);
}

static struct held_sock *place_of(const struct held *held, uint64_t cookie)
{
	size_t at = home_of(held, cookie);

	while (held->all[at].cookie && held->all[at].cookie != cookie)
		at = (at + 1) & (held->slots - 1);
	return &held->all[at];
}

struct held_sock *held_find(const struct held *held, uint64_t cookie)
{
	struct held_sock *sock = held->slots ? place_of(held, cookie) : NULL;

	return sock && sock->cookie ? sock : NULL;
}

/* At most half of the slots are taken. */
static bool grow(struct held *held)
{
	struct held bigger = {.count = held->count, .slots = held->slots ? 2 * held->slots : 1024};

	bigger.left_out = held->left_out;
	bigger.all = calloc(bigger.slots, sizeof(*bigger.all));
	if (!bigger.all)
		return false;
	for (size_t i = 0; i < held->slots; i++)
		if (held->all[i].cookie)
			*place_of(&bigger, held->all[i].cookie) = held->all[i];
	free(held->all);
	*held = bigger;
	return true;
}

struct held_sock *held_add(struct held *held, uint64_t cookie)
{
	struct held_sock *sock = held_find(held, cookie);

	if (sock)
		return sock;
	if (2 * held->count >= held->slots && !grow(held)) {
		held->left_out++;
		return NULL;
	}
	held->count++;
	sock = place_of(held, cookie);
	sock->cookie = cookie;
	return sock;
}

void held_remove(struct held *held, uint64_t cookie)
{
	struct held_sock *gone = held_find(held, cookie);
	size_t hole, at;

	if (!gone)
		return;
	held->count--;
	hole = (size_t)(gone - held->all);
	for (at = hole;;) {
		size_t home;

		at = (at + 1) & (held->slots - 1);
		if (!held->all[at].cookie)
			break;
		home = home_of(held, held->all[at].cookie);
		/* Its home lies behind the hole: it may stay. */
		if (((at - home) & (held->slots - 1)) < ((at - hole) & (held->slots - 1)))
			continue;
		held->all[hole] = held->all[at];
		hole = at;
	}
	held->all[hole] = (struct held_sock){0};
}

void held_list(struct held *held, uint64_t cookie)
{
	struct held_sock *sock = held_find(held, cookie);

	if (sock)
		sock->listed = true;
}

static int by_age(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* From when on are those that would not be listed to be kept? 0: all; also for want of memory. */
static uint64_t eldest_kept(const struct held *held, size_t most)
{
	uint64_t *since = held->count > most ? malloc(held->count * sizeof(*since)) : NULL;
	uint64_t eldest = 0;
	size_t count = 0;

	for (size_t i = 0; since && i < held->slots; i++)
		if (held->all[i].cookie && !held->all[i].listable)
			since[count++] = held->all[i].since_ns;
	if (since && count > most) {
		qsort(since, count, sizeof(*since), by_age);
		eldest = since[count - most / 2];
	}
	free(since);
	return eldest;
}

/* Does it stay? */
static bool settle(struct held_sock *sock, uint64_t eldest)
{
	const bool gone = sock->listable ? sock->missing && !sock->listed : sock->since_ns < eldest;

	sock->missing = sock->listable && !sock->listed;
	sock->listed = false;
	return !gone;
}

void held_forget(struct held *held, size_t others_most)
{
	const uint64_t eldest = eldest_kept(held, others_most);
	struct held kept = {.left_out = held->left_out};

	for (size_t i = 0; i < held->slots; i++) {
		struct held_sock *sock = &held->all[i], *copy;

		if (!sock->cookie || !settle(sock, eldest))
			continue;
		copy = held_add(&kept, sock->cookie);
		if (!copy) {
			held_end(&kept);
			return;
		}
		*copy = *sock;
	}
	held_end(held);
	*held = kept;
}

void held_end(struct held *held)
{
	free(held->all);
	*held = (struct held){0};
}
