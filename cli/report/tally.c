/* SPDX-License-Identifier: MIT */
/*
 * tally.c - see tally.h. All events make lives; counted are those that the filter lets through, and
 * the lives that have one of them: so a life is whole where it is told of.
 */
#include "report/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "facts/endpoint.h"
#include "facts/event_shape.h"

enum {
	LIVES_MOST = 1 << 18,
	FOUND_MOST = 4096,
	PATHS_MOST = 4096,
	OTHERS_MOST = 1024,
	LISTENERS_MOST = 256,
	STORM_LEAST = 10, /* calls that one event tells: of a second */
};

/* What has been seen of a life. */
enum { MARK_ACCEPTED = 1, MARK_PEER_RESET = 2, MARK_CLOSE_WAIT = 4, MARK_LEFT = 8 };

/* What others have written may say any count. */
static void add_to(uint64_t *sum, uint64_t count)
{
	if (__builtin_add_overflow(*sum, count, sum))
		*sum = UINT64_MAX;
}

static struct found_row *find(struct tally *tally, const struct found_key *key, uint64_t count)
{
	struct found_row *row = table_row(&tally->found, key);

	add_to(&tally->found_of[key->found], count);
	if (row)
		add_to(&row->count, count);
	return row;
}

/* Behind a name's end may stand anything. */
static void copy_name(char ret[16], const char name[16])
{
	memcpy(ret, name, strnlen(name, 16));
}

static struct found_key key_of(enum found found, uint32_t host, const char prog[16])
{
	struct found_key key;

	memset(&key, 0, sizeof(key));
	key.found = (uint8_t)found;
	key.host = host;
	copy_name(key.prog, prog);
	return key;
}

static void keep_most(struct found_row *row, uint64_t ms)
{
	if (row && ms > row->most_ms)
		row->most_ms = ms;
}

static void keep_said(struct found_row *row, const char *said)
{
	if (row && !*row->said)
		memcpy(row->said, said, strnlen(said, sizeof(row->said) - 1));
}

/* So many calls are told of by it. */
static uint64_t times_of(const struct event *ev)
{
	return ev->has_repeated ? ev->more.repeated.times : 1;
}

static bool has(const struct event *ev, enum note_id note)
{
	return (ev->notes & NOTE_BIT(note)) != 0;
}

static void find_failed(struct tally *tally, const struct input_event *event, enum found found,
			const struct endpoint *at)
{
	struct found_key key = key_of(found, event->host, event->ev.prog);

	key.call = event->ev.call;
	key.error = event->ev.error;
	key.at = *at;
	keep_said(find(tally, &key, times_of(&event->ev)), event->said);
}

/* An attempt that failed: told once, by its note where it has one. */
static void find_attempt(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	const int error = ev->call == CALL_connect ? ev->error : 0;
	enum found found = FOUND_COUNT;
	struct found_key key;

	if (has(ev, NOTE_REFUSED) || error == ECONNREFUSED)
		found = FOUND_REFUSED;
	else if (has(ev, NOTE_TIMED_OUT) || error == ETIMEDOUT)
		found = FOUND_TIMED_OUT;
	else if (has(ev, NOTE_UNREACHABLE) || error == EHOSTUNREACH || error == ENETUNREACH)
		found = FOUND_UNREACHABLE;
	if (found == FOUND_COUNT)
		return;
	key = key_of(found, event->host, ev->prog);
	key.at = ev->sock.peer;
	find(tally, &key, times_of(ev));
}

bool tally_is_waiting(int error)
{
	return error == EAGAIN || error == EINPROGRESS || error == EALREADY || error == EINTR;
}

static void find_storm(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	struct found_key key = key_of(FOUND_STORM, event->host, ev->prog);

	if (tally_is_waiting(ev->error) || times_of(ev) < STORM_LEAST)
		return;
	key.call = ev->call;
	key.error = ev->error;
	key.at = ev->call == CALL_connect ? ev->sock.peer : ev->sock.local;
	keep_most(find(tally, &key, times_of(ev)), event_repeated_ns(ev) / 1000000);
}

static void find_resets(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	struct found_key key = key_of(FOUND_RESET, event->host, ev->prog);

	key.place = event->place;
	key.detail = ev->figures.reset_cause;
	if (has(ev, NOTE_RESET))
		find(tally, &key, 1);
	key.found = FOUND_QUEUE_RESET;
	key.detail = 0;
	key.at = ev->sock.local;
	if (has(ev, NOTE_QUEUE_RESET))
		find(tally, &key, ev->figures.queued);
}

static void find_double_close(struct tally *tally, const struct input_event *event)
{
	struct found_key key = key_of(FOUND_DOUBLE_CLOSE, event->host, event->ev.prog);

	key.place = event->place;
	key.closed_place = event->closed_place;
	key.call = event->ev.figures.closed_call;
	find(tally, &key, 1);
}

/* What an event tells by itself. */
static void find_in_event(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	struct found_key lost = key_of(FOUND_LOST, event->host, ev->prog);

	if (ev->error && (ev->call == CALL_bind || ev->call == CALL_listen))
		find_failed(tally, event, FOUND_BIND, &ev->sock.local);
	if (ev->error == EMFILE || ev->error == ENFILE)
		find_failed(tally, event, FOUND_DESCRIPTORS, &ev->sock.local);
	if (has(ev, NOTE_BACKLOG_FULL))
		find_failed(tally, event, FOUND_BACKLOG, &ev->sock.local);
	if (has(ev, NOTE_DOUBLE_CLOSE))
		find_double_close(tally, event);
	if (has(ev, NOTE_LOST_EVENTS))
		find(tally, &lost, ev->figures.lost);
	if (ev->has_repeated)
		find_storm(tally, event);
	find_resets(tally, event);
	find_attempt(tally, event);
}

/* Once a life. */
static bool mark(struct life *life, uint32_t which)
{
	const bool before = (life->marks & which) != 0;

	life->marks |= which;
	return !before;
}

static void find_close_wait(struct tally *tally, const struct life *life, uint8_t detail,
			    uint64_t ms)
{
	struct found_key key = key_of(FOUND_CLOSE_WAIT, life->host, life->prog);

	key.place = life->place;
	key.detail = detail;
	keep_most(find(tally, &key, 1), ms);
}

static void find_left(struct tally *tally, struct life *life, const struct event *ev)
{
	const uint64_t ms = ev->figures.age_ns / 1000000;
	struct found_key key = key_of(FOUND_LEFT, life->host, ev->prog);

	if (ev->sock.state == STATE_LISTEN)
		return;
	if (ev->sock.state == STATE_CLOSE_WAIT) {
		if (mark(life, MARK_CLOSE_WAIT))
			find_close_wait(tally, life, LEFT_AT_EXIT, 0);
		return;
	}
	key.place = life->place;
	key.state = ev->sock.state;
	if (mark(life, MARK_LEFT))
		keep_most(find(tally, &key, 1), ms);
}

static void know_life(struct life *life, const struct input_event *event)
{
	const uint8_t call = event->ev.call;
	const bool accepted = call == CALL_accept || call == CALL_accept4;

	if (accepted)
		life->marks |= MARK_ACCEPTED;
	if (!life->place && (accepted || call == CALL_socket || call == CALL_exit))
		life->place = event->place;
	if (has(&event->ev, NOTE_PEER_RESET))
		life->marks |= MARK_PEER_RESET;
}

static void find_in_life(struct tally *tally, struct life *life, const struct event *ev)
{
	if (ev->call == CALL_exit && ev->has_fd)
		find_left(tally, life, ev);
	if (has(ev, NOTE_CLOSE_WAIT) && mark(life, MARK_CLOSE_WAIT))
		find_close_wait(tally, life, CLOSED_LATE, ev->figures.close_wait_ms);
}

static bool has_port(const struct sock_view *sock, uint16_t port)
{
	return sock->local.port == port || sock->peer.port == port;
}

static bool was_in(const struct sock_view *sock, uint8_t state)
{
	bool was = sock->was == state || sock->state == state;

	for (unsigned int i = 0; i < sock->n_via && i < VIA_MAX; i++)
		was |= sock->via[i] == state;
	return was;
}

static bool passes(const struct tally_filter *filter, const struct event *ev)
{
	const struct sock_view *closed = ev->has_closed ? &ev->more.closed.sock : &ev->sock;

	if (ev->time_ns < filter->since_ns)
		return false;
	if (filter->program && strncmp(ev->prog, filter->program, sizeof(ev->prog) - 1) != 0)
		return false;
	if (filter->port && !has_port(&ev->sock, filter->port) && !has_port(closed, filter->port))
		return false;
	return !filter->state || was_in(&ev->sock, filter->state) || was_in(closed, filter->state);
}

static void count_rate(struct rate *rate, uint64_t time_ns, uint64_t count)
{
	const uint64_t second = time_ns / 1000000000;

	if (second != rate->second)
		rate->in_second = 0;
	rate->second = second;
	add_to(&rate->total, count);
	add_to(&rate->in_second, count);
	if (rate->in_second > rate->peak)
		rate->peak = rate->in_second;
}

static struct listener_row *listener(struct tally *tally, const struct input_event *event)
{
	struct listener_row row;
	const size_t before = tally->listeners.count;
	struct listener_row *found;

	memset(&row, 0, sizeof(row));
	row.key.host = event->host;
	row.key.at = event->ev.sock.local;
	copy_name(row.key.prog, event->ev.prog);
	found = table_row(&tally->listeners, &row.key);
	if (found && tally->listeners.count > before)
		found->backlog = -1;
	return found;
}

/* Could this listener have had the connection with that local address? The better, the more. */
static int suits(const struct listener_row *row, const struct input_event *event)
{
	const struct endpoint *at = &event->ev.sock.local;

	if (row->key.host != event->host || row->key.at.port != at->port)
		return 0;
	if (!endpoint_same(&row->key.at, at) && !endpoint_is_wildcard(&row->key.at))
		return 0;
	return 1 + endpoint_same(&row->key.at, at) +
	       2 * (strncmp(row->key.prog, event->ev.prog, sizeof(row->key.prog)) == 0);
}

static void count_accept(struct tally *tally, const struct input_event *event)
{
	struct listener_row *best = NULL;
	int most = 0;

	for (size_t i = 0; i < tally->listeners.count; i++) {
		struct listener_row *row = table_at(&tally->listeners, i);
		const int suit = suits(row, event);

		if (suit <= most)
			continue;
		most = suit;
		best = row;
	}
	if (!best && event->ev.sock.local.family)
		best = listener(tally, event);
	if (best)
		best->accepted++;
	count_rate(&tally->accepts, event->ev.time_ns, 1);
}

static void count_listen(struct tally *tally, const struct input_event *event)
{
	struct listener_row *row = listener(tally, event);

	if (!row)
		return;
	row->listens++;
	row->backlog = event->ev.has_args ? event->ev.args.backlog : row->backlog;
}

static bool is_call(const struct event *ev)
{
	return ev->call < CALL_LOGGED;
}

static void count_call(struct tally *tally, const struct event *ev)
{
	struct call_row row;
	struct call_row *found;

	memset(&row, 0, sizeof(row));
	row.key.call = ev->call;
	row.key.by_shim = ev->by_shim;
	row.key.error = ev->error;
	add_to(&tally->all_calls, times_of(ev));
	add_to(&tally->failed_calls, ev->error ? times_of(ev) : 0);
	found = table_row(&tally->calls, &row.key);
	if (!found)
		return;
	add_to(&found->count, times_of(ev));
	if (ev->dur_ns > found->longest_ns)
		found->longest_ns = ev->dur_ns;
}

static void count(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	_Alignas(uint64_t) char name[16] = {0};

	tally->events++;
	if (!tally->first_ns || ev->time_ns < tally->first_ns)
		tally->first_ns = ev->time_ns;
	if (ev->time_ns > tally->last_ns)
		tally->last_ns = ev->time_ns;
	copy_name(name, ev->prog);
	table_row(&tally->programs, name);
	if (is_call(ev))
		count_call(tally, ev);
	if (ev->call == CALL_listen && !ev->error)
		count_listen(tally, event);
	if ((ev->call == CALL_accept || ev->call == CALL_accept4) && !ev->error)
		count_accept(tally, event);
	if (ev->call == CALL_connect && (!ev->error || ev->error == EINPROGRESS))
		count_rate(&tally->connects, ev->time_ns, times_of(ev));
	find_in_event(tally, event);
}

static void tell_step(struct tally *tally, struct life *life, const struct input_event *event,
		      const struct sock_view *sock)
{
	for (int i = 0; i < TALLY_WATCHES; i++)
		if (tally->watches[i] && tally->watches[i]->on_step)
			tally->watches[i]->on_step(tally->watches[i]->with, life, event, sock);
}

static void tell_event(struct tally *tally, const struct input_event *event)
{
	for (int i = 0; i < TALLY_WATCHES; i++)
		if (tally->watches[i] && tally->watches[i]->on_event)
			tally->watches[i]->on_event(tally->watches[i]->with, event);
}

void tally_event(struct tally *tally, const struct input_event *event)
{
	const struct event *ev = &event->ev;
	const bool wanted = passes(&tally->filter, ev);
	struct life *life = lives_closed(&tally->lives, event->host, ev);

	if (life) {
		life->wanted |= wanted;
		tell_step(tally, life, event, &ev->more.closed.sock);
	}
	life = lives_event(&tally->lives, event->host, ev);
	if (life) {
		life->wanted |= wanted;
		know_life(life, event);
		tell_step(tally, life, event, &ev->sock);
	}
	if (!wanted)
		return;
	tell_event(tally, event);
	count(tally, event);
	if (life)
		find_in_life(tally, life, ev);
}

static void count_path(struct tally *tally, const struct life *life)
{
	struct path_row row, *found;

	memset(&row, 0, sizeof(row));
	row.key.path = life->path;
	row.key.end = life->end;
	found = table_row(&tally->paths, &row.key);
	if (found)
		found->count++;
	tally->connections++;
	tally->joined += life->mate != NULL;
	tally->ambiguous += life->ambiguous;
}

/* Who sent it is known where the other end is. */
static void find_peer_reset(struct tally *tally, const struct life *life)
{
	struct found_key key = key_of(FOUND_PEER_RESET, life->host, life->prog);

	key.place = life->place;
	key.at = life->peer;
	if (life->marks & MARK_ACCEPTED)
		key.at.port = 0;
	if (life->mate)
		copy_name(key.other, life->mate->prog);
	find(tally, &key, 1);
}

static void tell_end(struct tally *tally, struct life *life)
{
	for (int i = 0; i < TALLY_WATCHES; i++)
		if (tally->watches[i] && tally->watches[i]->on_end)
			tally->watches[i]->on_end(tally->watches[i]->with, life);
}

static void end_life(void *with, struct life *life)
{
	struct tally *tally = with;

	tell_end(tally, life);
	if (!life->wanted)
		return;
	tally->late += life->late;
	if (life->connection)
		count_path(tally, life);
	if (life->marks & MARK_PEER_RESET)
		find_peer_reset(tally, life);
	if (life->end != LIFE_OPEN)
		return;
	tally->open[life->state]++;
	if (life->state == STATE_CLOSE_WAIT && !(life->marks & MARK_CLOSE_WAIT))
		find_close_wait(tally, life, OPEN_AT_THE_END, 0);
}

static void tell_leave(struct tally *tally, struct life *life, uint8_t state,
		       const struct stay *stay)
{
	for (int i = 0; i < TALLY_WATCHES; i++)
		if (tally->watches[i] && tally->watches[i]->on_leave)
			tally->watches[i]->on_leave(tally->watches[i]->with, life, state, stay);
}

static void leave_state(void *with, struct life *life, uint8_t state, const struct stay *stay)
{
	struct tally *tally = with;
	struct stays *stays = &tally->stays[state];

	tell_leave(tally, life, state, stay);
	if (!life->wanted)
		return;
	stays->count++;
	stays->least_ns += stay->least_ns;
	stays->most_ns += stay->most_ns;
	if (stay->least_ns > stays->longest_ns)
		stays->longest_ns = stay->least_ns;
}

#define TABLE_OF(type, limit)                                                                      \
	((struct table){.row_size = sizeof(type),                                                  \
			.key_size = sizeof(((type *)NULL)->key),                                   \
			.most = (limit)})

bool tally_begin(struct tally *tally)
{
	tally->found = TABLE_OF(struct found_row, FOUND_MOST);
	tally->calls = TABLE_OF(struct call_row, OTHERS_MOST);
	tally->paths = TABLE_OF(struct path_row, PATHS_MOST);
	tally->listeners = TABLE_OF(struct listener_row, LISTENERS_MOST);
	tally->programs = (struct table){.row_size = 16, .key_size = 16, .most = OTHERS_MOST};
	tally->lives.on_end = end_life;
	tally->lives.on_leave = leave_state;
	tally->lives.with = tally;
	return lives_begin(&tally->lives, LIVES_MOST);
}

void tally_finish(struct tally *tally)
{
	lives_end(&tally->lives);
}

void tally_end(struct tally *tally)
{
	table_end(&tally->found);
	table_end(&tally->calls);
	table_end(&tally->paths);
	table_end(&tally->listeners);
	table_end(&tally->programs);
}

bool tally_is_wrong(const struct tally *tally)
{
	uint64_t all = 0;

	for (int found = 0; found < FOUND_COUNT; found++)
		all |= tally->found_of[found];
	return all != 0;
}

const void **tally_sorted(const struct table *table, int (*compare)(const void *, const void *))
{
	const void **rows = table->count ? calloc(table->count, sizeof(*rows)) : NULL;

	for (size_t i = 0; rows && i < table->count; i++)
		rows[i] = table_at(table, i);
	if (rows)
		qsort(rows, table->count, sizeof(*rows), compare);
	return rows;
}

/* The most first; those of one count by their keys, so that the order is always the same. */
static int by_count(uint64_t a, uint64_t b, const void *key_a, const void *key_b, size_t size)
{
	return a != b ? (a < b) - (a > b) : memcmp(key_a, key_b, size);
}

#define ROW(type, at) (*(const type *const *)(at))

int tally_by_finding(const void *a, const void *b)
{
	const struct found_row *x = ROW(struct found_row, a), *y = ROW(struct found_row, b);

	if (x->key.found != y->key.found)
		return x->key.found - y->key.found;
	return by_count(x->count, y->count, &x->key, &y->key, sizeof(x->key));
}

int tally_by_call(const void *a, const void *b)
{
	const struct call_row *x = ROW(struct call_row, a), *y = ROW(struct call_row, b);

	if (x->key.call != y->key.call)
		return x->key.call < y->key.call ? -1 : 1;
	return by_count(x->count, y->count, &x->key, &y->key, sizeof(x->key));
}

int tally_by_path(const void *a, const void *b)
{
	const struct path_row *x = ROW(struct path_row, a), *y = ROW(struct path_row, b);

	return by_count(x->count, y->count, &x->key, &y->key, sizeof(x->key));
}

int tally_by_listener(const void *a, const void *b)
{
	const struct listener_row *x = ROW(struct listener_row, a);
	const struct listener_row *y = ROW(struct listener_row, b);

	return by_count(x->accepted, y->accepted, &x->key, &y->key, sizeof(x->key));
}
