/* SPDX-License-Identifier: MIT */
/*
 * lives.c - see lives.h. Closed sockets are let go in passing: whenever there are twice as many as
 * the last time, those are looked for that are over, and whose other end is.
 */
#include "report/lives.h"

#include <stdlib.h>
#include <string.h>

#include "events/ending.h"
#include "facts/endpoint.h"
#include "facts/sum.h"

enum { SLOTS = 1 << 18, SWEEP_AT = 1024 };

bool lives_begin(struct lives *lives, size_t most)
{
	lives->most = most;
	lives->sweeps = SWEEP_AT;
	lives->by_cookie = calloc(SLOTS, sizeof(*lives->by_cookie));
	lives->by_ends = calloc(SLOTS, sizeof(*lives->by_ends));
	return lives->by_cookie && lives->by_ends;
}

static struct life **cookie_slot(struct lives *lives, uint32_t host, uint64_t cookie)
{
	return &lives->by_cookie[sum_word(sum_word(SUM_BEGIN, host), cookie) % SLOTS];
}

static uint64_t sum_of(const struct endpoint *end)
{
	const uint8_t *v4 = endpoint_ipv4(end);
	uint64_t words[2] = {0};

	memcpy(words, v4 ? v4 : end->addr, v4 ? 4 : sizeof(words));
	return sum_word(sum_words(SUM_BEGIN, words, 2), end->port);
}

static struct life **ends_slot(struct lives *lives, const struct endpoint *local,
			       const struct endpoint *peer)
{
	return &lives->by_ends[sum_word(sum_of(local), sum_of(peer)) % SLOTS];
}

static bool is_synchronized(uint8_t state)
{
	return (STATE_BIT(state) & STATES_SYNCHRONIZED) != 0;
}

static void step(struct path *path, uint8_t state)
{
	uint8_t *last = path->count ? &path->state[path->count - 1] : NULL;

	if (last && (*last & ~PATH_PASSED) == (state & ~PATH_PASSED))
		*last &= state;
	else if (path->count < PATH_MOST)
		path->state[path->count++] = state;
	else
		path->cut = true;
}

static void unlist(struct lives *lives, struct life *life)
{
	if (!life->listed)
		return;
	if (life->before_by_ends)
		life->before_by_ends->next_by_ends = life->next_by_ends;
	else
		*ends_slot(lives, &life->local, &life->peer) = life->next_by_ends;
	if (life->next_by_ends)
		life->next_by_ends->before_by_ends = life->before_by_ends;
	life->listed = false;
}

static void list(struct lives *lives, struct life *life)
{
	struct life **slot = ends_slot(lives, &life->local, &life->peer);

	life->next_by_ends = *slot;
	if (*slot)
		(*slot)->before_by_ends = life;
	*slot = life;
	life->listed = true;
}

static void forget_cookie(struct lives *lives, const struct life *life)
{
	struct life **at = cookie_slot(lives, life->host, life->cookie);

	while (*at != life)
		at = &(*at)->next_by_cookie;
	*at = life->next_by_cookie;
}

static void forget(struct lives *lives, struct life *life)
{
	forget_cookie(lives, life);
	unlist(lives, life);
	*(life->before ? &life->before->next : &lives->first) = life->next;
	*(life->next ? &life->next->before : &lives->last) = life->before;
	lives->ended -= life->end == LIFE_CLOSED;
	lives->count--;
	free(life);
}

/* With its other end, if it has one. */
static void let_go(struct lives *lives, struct life *life)
{
	struct life *mate = life->mate;

	lives->on_end(lives->with, life);
	if (mate) {
		lives->on_end(lives->with, mate);
		forget(lives, mate);
	}
	forget(lives, life);
}

static bool is_over(const struct lives *lives, const struct life *life)
{
	return life->end == LIFE_CLOSED && life->until_ns < lives->now_ns;
}

/* The next that is no part of the pair. */
static struct life *next_of(const struct life *life)
{
	return life->next && life->next == life->mate ? life->next->next : life->next;
}

static void sweep(struct lives *lives)
{
	struct life *next;

	for (struct life *life = lives->first; life; life = next) {
		next = next_of(life);
		if (is_over(lives, life) && (!life->mate || is_over(lives, life->mate)))
			let_go(lives, life);
	}
	lives->sweeps = 2 * lives->ended + SWEEP_AT;
}

/* The elder half of those that are closed, whatever the kernel may still keep of them. */
static void make_room(struct lives *lives)
{
	size_t count = (lives->ended + 1) / 2;
	struct life *next;

	for (struct life *life = lives->first; life && count; life = next) {
		next = next_of(life);
		if (life->end != LIFE_CLOSED || (life->mate && life->mate->end != LIFE_CLOSED))
			continue;
		lives->dropped++;
		count--;
		let_go(lives, life);
	}
	lives->sweeps = 2 * lives->ended + SWEEP_AT;
}

static struct life *make(struct lives *lives, uint32_t host, uint64_t cookie, struct life **slot)
{
	struct life *life;

	if (lives->count == lives->most)
		make_room(lives);
	life = lives->count < lives->most ? calloc(1, sizeof(*life)) : NULL;
	if (!life) {
		lives->left_out++;
		return NULL;
	}
	life->cookie = cookie;
	life->host = host;
	life->next_by_cookie = *slot;
	*slot = life;
	life->before = lives->last;
	*(lives->last ? &lives->last->next : &lives->first) = life;
	lives->last = life;
	lives->count++;
	return life;
}

static struct life *find(struct lives *lives, uint32_t host, uint64_t cookie)
{
	struct life **slot = cookie_slot(lives, host, cookie);

	for (struct life *life = *slot; life; life = life->next_by_cookie)
		if (life->cookie == cookie && life->host == host)
			return life;
	return make(lives, host, cookie, slot);
}

static void confuse(struct life *life)
{
	if (life->mate) {
		life->mate->ambiguous = true;
		life->mate->mate = NULL;
	}
	life->ambiguous = true;
	life->mate = NULL;
}

static void pair(struct life *a, struct life *b)
{
	if (a->ambiguous || b->ambiguous || a->mate || b->mate) {
		confuse(a);
		confuse(b);
	} else {
		a->mate = b;
		b->mate = a;
	}
}

/* Is it there still, while this one is? */
static bool overlaps(const struct life *life, const struct life *other)
{
	return other->end != LIFE_CLOSED || other->until_ns >= life->first_ns;
}

/* From one namespace into another goes what is not on loopback. */
static bool may_meet(const struct life *life, const struct life *other)
{
	return other->host == life->host && (!endpoint_is_loopback(&life->local) || !life->netns ||
					     !other->netns || other->netns == life->netns);
}

static bool mirrors(const struct life *life, const struct life *other)
{
	return may_meet(life, other) && endpoint_same(&other->local, &life->peer) &&
	       endpoint_same(&other->peer, &life->local);
}

/*
 * Of those that are closed, and whose other end will never be known, the one that the kernel may
 * keep the longest stands for all: however often the same addresses are used again, few are listed.
 */
static struct life *keep_one(struct lives *lives, struct life *kept, struct life *other)
{
	if (!other->ambiguous || other->end != LIFE_CLOSED)
		return kept;
	if (kept && kept->until_ns > other->until_ns) {
		unlist(lives, other);
		return kept;
	}
	if (kept)
		unlist(lives, kept);
	return other;
}

static void find_mate(struct lives *lives, struct life *life)
{
	struct life *other = *ends_slot(lives, &life->peer, &life->local);
	struct life *kept = NULL, *next;

	life->paired = true;
	for (; other; other = next) {
		next = other->next_by_ends;
		if (!mirrors(life, other))
			continue;
		if (overlaps(life, other))
			pair(life, other);
		kept = keep_one(lives, kept, other);
	}
	list(lives, life);
}

/* Once both addresses are known: then they stay what they are. */
static void know_ends(struct lives *lives, struct life *life, const struct sock_view *sock)
{
	if (life->paired)
		return;
	if (sock->local.family)
		life->local = sock->local;
	if (sock->peer.family)
		life->peer = sock->peer;
	if (!is_synchronized(life->state) || !life->local.port || !life->peer.port)
		return;
	life->met_ns = lives->now_ns;
	find_mate(lives, life);
}

bool lives_lasted_to_call(uint8_t state, uint8_t next)
{
	return state == STATE_LISTEN || (state == STATE_ESTABLISHED && next == STATE_FIN_WAIT_1) ||
	       (state == STATE_CLOSE_WAIT && next == STATE_LAST_ACK);
}

static void leave(struct lives *lives, struct life *life, const struct event *ev,
		  const struct sock_view *sock)
{
	const uint64_t called = ev->time_ns - (ev->dur_ns < ev->time_ns ? ev->dur_ns : 0);
	uint64_t to = life->seen_to_ns;
	struct stay stay;

	if (lives_lasted_to_call(life->state, sock->n_via ? sock->via[0] : sock->state) &&
	    called > to)
		to = called;
	stay.least_ns = to - life->seen_ns;
	stay.most_ns = ev->time_ns - life->before_ns;
	lives->on_leave(lives->with, life, life->state, &stay);
}

/* The socket is in that state now, by way of those. */
static void enter(struct lives *lives, struct life *life, const struct event *ev,
		  const struct sock_view *sock)
{
	if (life->state == sock->state && !sock->n_via) {
		life->seen_to_ns = ev->time_ns;
		return;
	}
	if (life->state != STATE_UNKNOWN)
		leave(lives, life, ev, sock);
	life->before_ns = life->state == STATE_UNKNOWN ? ev->time_ns : life->seen_to_ns;
	life->seen_ns = life->seen_to_ns = ev->time_ns;
	life->state = sock->state;
}

static void walk(struct lives *lives, struct life *life, const struct event *ev,
		 const struct sock_view *sock)
{
	if (!life->path.count && sock->was != STATE_UNKNOWN)
		step(&life->path, sock->was);
	for (unsigned int i = 0; i < sock->n_via && i < VIA_MAX; i++)
		step(&life->path, sock->via[i] | PATH_PASSED);
	if (sock->state != STATE_UNKNOWN)
		step(&life->path, sock->state);
	for (unsigned int i = 0; i < life->path.count; i++)
		life->connection |= is_synchronized(life->path.state[i] % PATH_PASSED);
	if (sock->state != STATE_UNKNOWN)
		enter(lives, life, ev, sock);
}

/* How long the kernel may keep it, that nobody has open any more. */
static uint64_t kept_ns(const struct sock_view *sock)
{
	const uint64_t ms = 1000000, at_most = 120000 * ms;

	if (sock->state == STATE_TIME_WAIT)
		return sock->has_timer ? sock->timer_ms * ms : at_most;
	return is_synchronized(sock->state) ? at_most : 0;
}

/* A state in which no socket is that nobody has open. */
static bool needs_owner(uint8_t state)
{
	return (STATE_BIT(state) & (STATE_BIT(STATE_LISTEN) | STATE_BIT(STATE_SYN_SENT) |
				    STATE_BIT(STATE_ESTABLISHED) | STATE_BIT(STATE_CLOSE_WAIT))) !=
	       0;
}

static void set_end(struct lives *lives, struct life *life, enum life_end end)
{
	lives->ended += end == LIFE_CLOSED;
	lives->ended -= life->end == LIFE_CLOSED;
	life->end = (uint8_t)end;
}

static struct life *add(struct lives *lives, uint32_t host, const struct event *ev,
			const struct sock_view *sock, bool closed)
{
	struct life *life;

	if (!sock->cookie)
		return NULL;
	if (ev->time_ns > lives->now_ns)
		lives->now_ns = ev->time_ns;
	if (lives->ended >= lives->sweeps)
		sweep(lives);
	life = find(lives, host, sock->cookie);
	if (!life)
		return NULL;
	if (!life->first_ns)
		life->first_ns = ev->time_ns;
	memcpy(life->prog, ev->prog, sizeof(life->prog));
	life->late |= ev->time_ns < life->last_ns;
	if (ev->time_ns < life->last_ns)
		return life;
	life->last_ns = ev->time_ns;
	life->netns = sock->netns ? sock->netns : life->netns;
	walk(lives, life, ev, sock);
	know_ends(lives, life, sock);
	life->until_ns = ev->time_ns + kept_ns(sock);
	life->timer_ns = sock->has_timer ? sock->timer_ms * UINT64_C(1000000) : 0;
	set_end(lives, life,
		closed && !needs_owner(sock->state) ? LIFE_CLOSED
		: ev->call == CALL_exit		    ? LIFE_LEFT
						    : LIFE_OPEN);
	return life;
}

struct life *lives_event(struct lives *lives, uint32_t host, const struct event *ev)
{
	return add(lives, host, ev, &ev->sock, event_ends_socket(ev));
}

struct life *lives_closed(struct lives *lives, uint32_t host, const struct event *ev)
{
	return ev->has_closed ? add(lives, host, ev, &ev->more.closed.sock, true) : NULL;
}

void lives_end(struct lives *lives)
{
	while (lives->first)
		let_go(lives, lives->first);
	free(lives->by_cookie);
	free(lives->by_ends);
	lives->by_cookie = lives->by_ends = NULL;
}
