/* SPDX-License-Identifier: MIT */
/*
 * backlog.c - see backlog.h. No locks: of two threads that look at one listener at once, one
 * may find nothing new.
 */
#include "observe/backlog.h"

#include <stdatomic.h>

#include "observe/subject.h"
#include "observe/turns.h"

enum { LISTENERS = 64, EVERY_MS = 100 };

/* By cookie, whose lower half stands above them: the drops at the last look. */
static _Atomic(uint64_t) known_drops[LISTENERS];

static bool is_due(const struct event *ev)
{
	uint32_t nothing;

	return turn_take(&subject_notes->looked[(unsigned int)ev->fd % LOOKS], EVERY_MS, ev,
			 &nothing);
}

/* What was known of this socket, and not of another one in its place; else nothing is new. */
static uint32_t new_drops(uint64_t cookie, uint32_t drops)
{
	const uint64_t before =
		atomic_exchange(&known_drops[cookie % LISTENERS], cookie << 32 | drops);
	const uint32_t more = drops - (uint32_t)before;

	/* Another thread may have looked later and come here first. */
	return before >> 32 == (uint32_t)cookie && more <= INT32_MAX ? more : 0;
}

struct backlog backlog_look(int handle, uint64_t cookie, const struct tcp_facts *facts)
{
	struct backlog backlog = {.queued = facts->queued, .allowed = facts->backlog};
	uint32_t drops;

	if (cookie && sock_drops(handle, &drops))
		backlog.dropped = new_drops(cookie, drops);
	return backlog;
}

void backlog_note(struct event *ev, const struct backlog *backlog)
{
	if (!backlog->dropped && backlog->queued <= backlog->allowed)
		return;
	ev->notes |= NOTE_BIT(NOTE_BACKLOG_FULL);
	ev->figures.queued = backlog->queued;
	ev->figures.backlog = backlog->allowed;
	ev->figures.dropped = backlog->dropped;
}

/* The kernel takes a negative one for the most there is: that is no less than was asked for. */
static void note_cut(struct event *ev, uint32_t in_force)
{
	if (ev->args.backlog <= 0 || in_force >= (uint32_t)ev->args.backlog)
		return;
	ev->notes |= NOTE_BIT(NOTE_BACKLOG_CUT);
	ev->figures.backlog = in_force;
}

void backlog_of_listen(struct event *ev, int handle, const struct tcp_facts *facts, bool is_new)
{
	if (facts->state != STATE_LISTEN)
		return;
	if (is_new) {
		new_drops(ev->sock.cookie, 0);
	} else {
		const struct backlog backlog = backlog_look(handle, ev->sock.cookie, facts);

		backlog_note(ev, &backlog);
	}
	note_cut(ev, facts->backlog);
}

void backlog_of_accept(struct event *ev, int handle, uint64_t listener)
{
	struct backlog backlog;
	struct tcp_facts facts;

	if (!is_due(ev) || tcp_ask(handle, &facts) < 0)
		return;
	/* The number may be another listener's by now: accept may have waited. */
	if (facts.state != STATE_LISTEN || sock_cookie(handle) != listener)
		return;
	backlog = backlog_look(handle, listener, &facts);
	backlog_note(ev, &backlog);
}

void backlog_of_failed_accept(struct event *ev, int handle, const struct tcp_facts *facts)
{
	struct backlog backlog = {.queued = facts->queued, .allowed = facts->backlog};

	if (facts->state != STATE_LISTEN)
		return;
	if (is_due(ev))
		backlog = backlog_look(handle, ev->sock.cookie, facts);
	backlog_note(ev, &backlog);
}
