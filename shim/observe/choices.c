/* SPDX-License-Identifier: MIT */
/*
 * choices.c - see choices.h. No locks: who reads while somebody writes finds
 * nothing, or the right thing.
 */
#include "observe/choices.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "facts/shim.h"
#include "observe/tcp_state.h"
#include "sys/process.h"

enum { PLACES = 512, WAYS = 4 }; /* a cookie has one of WAYS entries in its place */

static struct entry {
	_Atomic(uint64_t) cookie; /* 0: none */
	_Atomic(uint8_t) flags;
} entries[PLACES][WAYS];

static _Atomic(uint32_t) next_way; /* which entry of a full place goes */
_Atomic(bool) choices_any;
_Atomic(bool) choices_reuseport;

static struct entry *place_of(uint64_t cookie)
{
	return entries[cookie % PLACES];
}

static struct entry *find(uint64_t cookie)
{
	struct entry *place = place_of(cookie);

	for (int i = 0; i < WAYS && cookie; i++)
		if (atomic_load(&place[i].cookie) == cookie)
			return &place[i];
	return NULL;
}

uint8_t choices_of(int handle)
{
	if (!choices_exist())
		return 0;

	const uint64_t cookie = sock_cookie(handle);
	const struct entry *entry = find(cookie);
	const uint8_t flags = entry ? atomic_load(&entry->flags) : 0;

	return entry && atomic_load(&entry->cookie) == cookie ? flags : 0;
}

/* An entry for the cookie: a free one of its place, else another's. */
static struct entry *make(uint64_t cookie)
{
	struct entry *place = place_of(cookie);
	struct entry *entry = &place[atomic_fetch_add(&next_way, 1) % WAYS];

	for (int i = 0; i < WAYS; i++)
		if (!atomic_load(&place[i].cookie))
			entry = &place[i];
	atomic_store(&entry->cookie, 0);
	atomic_store(&entry->flags, 0);
	atomic_store(&entry->cookie, cookie);
	return entry;
}

void choices_change(int handle, uint8_t add, uint8_t take_away)
{
	if ((!add && !choices_exist()) || !shim_acts() || !process_owner())
		return;

	const uint64_t cookie = sock_cookie(handle);
	struct entry *entry = find(cookie);

	if (!cookie || (!entry && !add))
		return;
	if (!entry)
		entry = make(cookie);
	atomic_fetch_and(&entry->flags, (uint8_t)~take_away);
	atomic_fetch_or(&entry->flags, add);
	atomic_store(&choices_any, true);
}
