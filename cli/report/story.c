/* SPDX-License-Identifier: MIT */
/*
 * story.c - see story.h. A socket's steps are kept while it lives. When it ends it is told whether
 * they are: of each kind of connection so many, those that weigh most.
 */
#include "report/story.h"

#include <stdlib.h>
#include <string.h>

#include "facts/endpoint.h"

enum {
	STEPS_ROOM = 1 << 19, /* of all sockets at a time */
	STEPS_LAST = 20,      /* of a socket, behind which those between are left out */
	STEPS_FIRST = LADDER_STEPS_MOST - STEPS_LAST,
	PROCESSES_MOST = 1024,
	KIND_LEAST = 40, /* so many of each kind are told, where there are */
};

static const uint64_t first_width_ns = 1000000;

/* Calls that take a way by themselves. */
static const uint32_t acting = CALL_BIT(CALL_listen) | CALL_BIT(CALL_connect) |
			       CALL_BIT(CALL_shutdown) | CALL_BIT(CALL_close) |
			       CALL_BIT(CALL_dup2) | CALL_BIT(CALL_dup3) | CALL_BIT(CALL_fclose) |
			       CALL_BIT(CALL_close_range) | CALL_BIT(CALL_closefrom);

/* Is it the user's call that goes this way, by RFC 9293, not a segment? */
static bool is_by_call(uint8_t from, uint8_t to)
{
	if (from == STATE_CLOSED)
		return to == STATE_LISTEN || to == STATE_SYN_SENT;
	return to == STATE_FIN_WAIT_1 || (from == STATE_CLOSE_WAIT && to == STATE_LAST_ACK) ||
	       (from == STATE_LISTEN && to == STATE_CLOSED);
}

static void go(struct story *story, struct strand *strand, uint8_t to, uint8_t call)
{
	const uint8_t from = strand->state;

	strand->state = to;
	if (from == to || from == STATE_UNKNOWN || to == STATE_UNKNOWN)
		return;
	if (strand->arrow_count == STORY_ARROWS_MOST) {
		story->arrows_left_out++;
		return;
	}
	strand->arrows[strand->arrow_count++] = (struct arrow){
		.from = from,
		.to = to,
		.call = is_by_call(from, to) && (acting & CALL_BIT(call)) ? call : CALL_COUNT,
	};
}

static bool is_accept(uint8_t call)
{
	return call == CALL_accept || call == CALL_accept4;
}

/* Nothing has changed; or another process has told it before. */
static bool is_known(const struct strand *strand, const struct sock_view *sock)
{
	return sock->state == strand->state &&
	       (!sock->n_via || (sock->was != STATE_UNKNOWN && sock->was != strand->state));
}

/* What of the way is known already, by another process's event, is not gone again. */
static void walk(struct story *story, struct strand *strand, const struct event *ev,
		 const struct sock_view *sock)
{
	unsigned int first = 0;

	if (sock->state == STATE_UNKNOWN || is_known(strand, sock))
		return;
	if (strand->state == STATE_UNKNOWN)
		strand->state = is_accept(ev->call) ? (uint8_t)STATE_LISTEN : sock->was;
	for (unsigned int i = 0; i < sock->n_via && i < VIA_MAX; i++)
		if (sock->via[i] == strand->state)
			first = i + 1;
	for (unsigned int i = first; i < sock->n_via && i < VIA_MAX; i++)
		go(story, strand, sock->via[i], ev->call);
	if (is_accept(ev->call) && strand->state == STATE_LISTEN)
		strand->state = STATE_UNKNOWN; /* how it came there is not known */
	go(story, strand, sock->state, ev->call);
}

/* Room for one more. NULL for want of it. */
static struct step *add_step(struct story *story, struct strand *strand)
{
	enum { AT_FIRST = 4 };
	struct step *steps;
	uint32_t room = strand->room ? 2 * strand->room : AT_FIRST;

	if (strand->count == LADDER_STEPS_MOST) {
		struct step *step = &strand->steps[STEPS_FIRST + strand->turn];

		strand->turn = (strand->turn + 1) % STEPS_LAST;
		strand->left_out++;
		return step;
	}
	if (strand->count == strand->room) {
		room = room < LADDER_STEPS_MOST ? room : LADDER_STEPS_MOST;
		steps = story->steps + room - strand->room > STEPS_ROOM
				? NULL
				: realloc(strand->steps, room * sizeof(*steps));
		if (!steps)
			return NULL;
		story->steps += room - strand->room;
		strand->steps = steps;
		strand->room = room;
	}
	return &strand->steps[strand->count++];
}

static int32_t narrow(int64_t number)
{
	return number > INT32_MAX ? INT32_MAX : number < INT32_MIN ? INT32_MIN : (int32_t)number;
}

static void fill_step(struct step *step, const struct event *ev, const struct sock_view *sock)
{
	*step = (struct step){
		.time_ns = ev->time_ns,
		.dur_ns = ev->dur_ns,
		.notes = ev->notes,
		.times = ev->has_repeated ? ev->more.repeated.times : 1,
		.pid = ev->pid,
		.fd = ev->fd,
		.ret = narrow(ev->ret),
		.error = ev->error,
		.timer_ms = sock->timer_ms,
		.call = ev->call,
		.was = sock->was,
		.state = sock->state,
		.n_via = sock->n_via < VIA_MAX ? sock->n_via : VIA_MAX,
		.by_shim = ev->by_shim,
		.has_fd = ev->has_fd,
		.has_ret = ev->has_ret,
		.has_timer = sock->has_timer,
	};
	memcpy(step->via, sock->via, sizeof(step->via));
}

static void judge(struct strand *strand, const struct event *ev)
{
	static const uint64_t failures =
		NOTE_BIT(NOTE_REFUSED) | NOTE_BIT(NOTE_TIMED_OUT) | NOTE_BIT(NOTE_UNREACHABLE);
	static const uint64_t resets =
		NOTE_BIT(NOTE_RESET) | NOTE_BIT(NOTE_PEER_RESET) | NOTE_BIT(NOTE_QUEUE_RESET);
	const uint32_t failing =
		CALL_BIT(CALL_bind) | CALL_BIT(CALL_listen) | CALL_BIT(CALL_connect);

	strand->failed |= (ev->notes & failures) != 0;
	strand->failed |=
		ev->error && !tally_is_waiting(ev->error) && (failing & CALL_BIT(ev->call));
	strand->reset |= (ev->notes & resets) != 0;
	strand->leaked |= (ev->notes & NOTE_BIT(NOTE_CLOSE_WAIT)) != 0;
}

static struct strand *strand_of(struct life *life, const struct event *ev)
{
	struct strand *strand = life->own[WATCH_STORY];

	if (strand || !(strand = calloc(1, sizeof(*strand))))
		return strand;
	strand->pid = ev->pid;
	strand->host = life->host;
	strand->cookie = life->cookie;
	strand->first_ns = strand->last_ns = ev->time_ns;
	memcpy(strand->prog, ev->prog, sizeof(strand->prog));
	life->own[WATCH_STORY] = strand;
	return strand;
}

static void on_step(void *with, struct life *life, const struct input_event *event,
		    const struct sock_view *sock)
{
	struct story *story = with;
	const struct event *ev = &event->ev;
	struct strand *strand = strand_of(life, ev);
	struct step *step = strand ? add_step(story, strand) : NULL;

	if (strand) {
		walk(story, strand, ev, sock);
		judge(strand, ev);
		strand->accepted |= is_accept(ev->call);
		if (ev->time_ns > strand->last_ns)
			strand->last_ns = ev->time_ns;
	}
	if (step)
		fill_step(step, ev, sock);
	else
		story->steps_left_out++;
}

static void free_strand(struct story *story, struct strand *strand)
{
	if (!strand)
		return;
	story->steps -= strand->room;
	free(strand->steps);
	free(strand);
}

static void free_ladder(struct story *story, const struct ladder *ladder)
{
	free_strand(story, ladder->ends[0]);
	free_strand(story, ladder->ends[1]);
}

static void count_ways(struct ways *ways, const struct strand *strand)
{
	for (unsigned int i = 0; i < strand->arrow_count; i++) {
		const struct arrow *arrow = &strand->arrows[i];

		ways->of[arrow->from][arrow->to]++;
		if (arrow->call < CALL_COUNT)
			ways->by[arrow->from][arrow->to][arrow->call]++;
	}
}

/* What the life knows in the end. NULL where there is nothing. */
static struct strand *take_strand(struct story *story, struct life *life)
{
	struct strand *strand = life->own[WATCH_STORY];

	life->own[WATCH_STORY] = NULL;
	if (!strand)
		return NULL;
	if (life->wanted)
		count_ways(&story->ways, strand);
	strand->local = life->local;
	strand->peer = life->peer;
	strand->end = life->end;
	strand->connection = life->connection;
	strand->leaked |= life->state != STATE_LISTEN &&
			  (life->end == LIFE_LEFT ||
			   (life->end == LIFE_OPEN && life->state == STATE_CLOSE_WAIT));
	return strand;
}

static uint64_t lasted(const struct strand *strand)
{
	return strand ? strand->last_ns - strand->first_ns : 0;
}

/* Of what is wrong the first are told, of the others those that lasted longest. */
static void weigh(struct ladder *ladder)
{
	const struct strand *a = ladder->ends[0], *b = ladder->ends[1];
	const struct strand *any = a ? a : b;

	if ((a && a->failed) || (b && b->failed))
		ladder->kind = LADDER_FAILED;
	else if ((a && a->reset) || (b && b->reset))
		ladder->kind = LADDER_RESET;
	else if ((a && a->leaked) || (b && b->leaked))
		ladder->kind = LADDER_LEAKED;
	else
		ladder->kind = any->connection ? LADDER_SLOW : LADDER_OTHER;
	ladder->weight = UINT64_MAX - any->first_ns;
	if (ladder->kind == LADDER_SLOW)
		ladder->weight = lasted(a) > lasted(b) ? lasted(a) : lasted(b);
}

static void find_lightest(struct story *story, uint8_t kind)
{
	const struct ladder *kept = story->kept[kind];
	size_t lightest = 0;

	for (size_t i = 1; i < LADDERS_MOST; i++)
		if (kept[i].weight < kept[lightest].weight)
			lightest = i;
	story->lightest[kind] = lightest;
}

/* In the place of the lightest, where there is no room; or not. */
static void keep(struct story *story, const struct ladder *ladder)
{
	const uint8_t kind = ladder->kind;
	struct ladder *place = &story->kept[kind][story->lightest[kind]];

	story->seen[kind]++;
	if (story->kept_count[kind] < LADDERS_MOST) {
		place = &story->kept[kind][story->kept_count[kind]++];
	} else if (ladder->weight <= place->weight) {
		free_ladder(story, ladder);
		return;
	} else {
		free_ladder(story, place);
	}
	*place = *ladder;
	if (story->kept_count[kind] == LADDERS_MOST)
		find_lightest(story, kind);
}

static void on_end(void *with, struct life *life)
{
	struct story *story = with;
	struct life *mate = life->mate;
	const bool wanted = life->wanted || (mate && mate->wanted);
	struct strand *mine = take_strand(story, life);
	struct strand *other = mate ? take_strand(story, mate) : NULL;
	const bool swap = (mine && mine->accepted) || (other && !other->accepted);
	struct ladder ladder = {.ends = {swap ? other : mine, swap ? mine : other}};

	if (!mine && !other)
		return;
	weigh(&ladder);
	if (wanted)
		keep(story, &ladder);
	else
		free_ladder(story, &ladder);
}

/* Until the bin that the time falls into is one of those that there are. */
static size_t bin_of(struct process_row *row, uint64_t time_ns)
{
	const uint64_t after = time_ns > row->first_ns ? time_ns - row->first_ns : 0;

	while (after / row->width_ns >= STORY_BINS) {
		for (size_t i = 0; i < STORY_BINS; i++) {
			const bool whole = 2 * i + 1 < STORY_BINS;

			row->bins[i] = whole ? row->bins[2 * i] + row->bins[2 * i + 1] : 0;
			row->failed_bins[i] =
				whole ? row->failed_bins[2 * i] + row->failed_bins[2 * i + 1] : 0;
		}
		row->width_ns *= 2;
	}
	return (size_t)(after / row->width_ns);
}

static void on_event(void *with, const struct input_event *event)
{
	struct story *story = with;
	const struct event *ev = &event->ev;
	const bool failed = ev->error && !tally_is_waiting(ev->error);
	struct process_row key, *row;
	size_t bin;

	memset(&key.key, 0, sizeof(key.key));
	key.key.host = event->host;
	key.key.pid = (uint32_t)ev->pid;
	memcpy(key.key.prog, ev->prog, strnlen(ev->prog, sizeof(ev->prog)));
	row = table_row(&story->processes, &key.key);
	if (!row)
		return;
	if (!row->events) {
		row->first_ns = row->last_ns = ev->time_ns;
		row->width_ns = first_width_ns;
	}
	row->events++;
	row->failed += failed;
	if (ev->time_ns > row->last_ns)
		row->last_ns = ev->time_ns;
	bin = bin_of(row, ev->time_ns);
	row->bins[bin]++;
	row->failed_bins[bin] += failed;
}

void story_begin(struct story *story)
{
	story->processes = (struct table){.row_size = sizeof(struct process_row),
					  .key_size = sizeof(((struct process_row *)NULL)->key),
					  .most = PROCESSES_MOST};
	story->watch = (struct tally_watch){
		.on_event = on_event, .on_step = on_step, .on_end = on_end, .with = story};
}

void story_end(struct story *story)
{
	for (int kind = 0; kind < LADDER_KINDS; kind++)
		for (size_t i = 0; i < story->kept_count[kind]; i++)
			free_ladder(story, &story->kept[kind][i]);
	table_end(&story->processes);
}

static int by_weight(const void *a, const void *b)
{
	const struct ladder *x = a, *y = b;

	return (x->weight < y->weight) - (x->weight > y->weight);
}

size_t story_ladders(struct story *story, const struct ladder *ret[LADDERS_MOST])
{
	size_t share[LADDER_KINDS], left = LADDERS_MOST, count = 0;

	for (int kind = 0; kind < LADDER_KINDS; kind++) {
		qsort(story->kept[kind], story->kept_count[kind], sizeof(struct ladder), by_weight);
		share[kind] =
			story->kept_count[kind] < KIND_LEAST ? story->kept_count[kind] : KIND_LEAST;
		left -= share[kind];
	}
	for (int kind = 0; kind < LADDER_KINDS; kind++) {
		const size_t more = story->kept_count[kind] - share[kind];

		share[kind] += more < left ? more : left;
		left -= more < left ? more : left;
		for (size_t i = 0; i < share[kind]; i++)
			ret[count++] = &story->kept[kind][i];
	}
	return count;
}
