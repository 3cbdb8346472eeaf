/* SPDX-License-Identifier: MIT */
/*
 * findings.c - see findings.h.
 */
#include "gate/findings.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "events/ending.h"
#include "facts/callsite.h"
#include "facts/endpoint.h"
#include "facts/frames.h"
#include "facts/names.h"
#include "log/note_text.h"

enum { FOUND_MOST = 4096, PLACES_MOST = 16384 };

_Static_assert(FOUND_MOST <= UINT16_MAX, "held_sock.row");

static bool has(const struct event *ev, enum note_id note)
{
	return (ev->notes & NOTE_BIT(note)) != 0;
}

static bool asked_for(const struct findings *findings, enum gate_code code)
{
	return (findings->options->codes >> code & 1) != 0 || code == GATE_LOST_EVENTS;
}

/* The nearest caller of a stack; 0: not known. */
static uint32_t place_of(struct findings *findings, uint32_t stack)
{
	const struct frame *frame;
	struct code_place place;
	uint64_t number;
	const char *row;

	if (!stack || !callsite_frame(stack, 0, &number) || !(frame = frames_at(number)))
		return 0;
	memset(&place, 0, sizeof(place));
	memcpy(place.module, frame->module, strnlen(frame->module, sizeof(place.module) - 1));
	memcpy(place.symbol, frame->symbol, strnlen(frame->symbol, sizeof(place.symbol) - 1));
	place.offset = frame->offset;
	place.symbol_offset = frame->symbol_offset;
	row = table_row(&findings->places, &place);
	return row ? (uint32_t)((size_t)(row - findings->places.rows) / sizeof(place)) + 1 : 0;
}

const struct code_place *findings_place(const struct findings *findings, uint32_t place)
{
	return place ? table_at(&findings->places, place - 1) : NULL;
}

static struct finding_key key_of(enum gate_code code, const char prog[16])
{
	struct finding_key key;

	memset(&key, 0, sizeof(key));
	key.code = (uint8_t)code;
	memcpy(key.prog, prog, strnlen(prog, sizeof(key.prog)));
	return key;
}

/* So many more of it. NULL where there is no room. */
static struct finding *find(struct findings *findings, const struct finding_key *key,
			    uint64_t count, int32_t pid, uint64_t time_ns)
{
	struct finding *row = table_row(&findings->rows, key);

	if (!row)
		return NULL;
	if (!row->count) {
		row->first_ns = time_ns;
		row->pid = pid;
		findings->on_found(findings->with, pid);
	}
	row->count += count;
	return row;
}

static uint64_t times_of(const struct event *ev)
{
	return ev->has_repeated ? ev->more.repeated.times : 1;
}

static void say(struct finding *row, enum note_id note, const struct event *ev)
{
	struct out out;

	if (!row || *row->said)
		return;
	out = out_into(row->said, sizeof(row->said) - 1);
	out_note(&out, note, ev);
	*out.at = '\0';
}

static void find_double_close(struct findings *findings, const struct event *ev)
{
	struct finding_key key = key_of(GATE_DOUBLE_CLOSE, ev->prog);

	key.place = place_of(findings, ev->stack);
	key.closed_place = place_of(findings, ev->figures.closed_at);
	key.call = ev->figures.closed_call;
	say(find(findings, &key, 1, ev->pid, ev->time_ns), NOTE_DOUBLE_CLOSE, ev);
}

static void find_reset(struct findings *findings, const struct event *ev)
{
	struct finding_key key = key_of(GATE_RESET, ev->prog);

	key.place = place_of(findings, ev->stack);
	key.detail = ev->figures.reset_cause;
	say(find(findings, &key, 1, ev->pid, ev->time_ns), NOTE_RESET, ev);
}

/* Notes on what the call did, not on why it failed. */
static const uint64_t others = NOTE_BIT(NOTE_REUSE_ENABLED) | NOTE_BIT(NOTE_REUSE_RESPECTED) |
			       NOTE_BIT(NOTE_BACKLOG_CUT) | NOTE_BIT(NOTE_LOST_EVENTS);

static void find_bind_failed(struct findings *findings, const struct event *ev)
{
	struct finding_key key = key_of(GATE_BIND_FAILED, ev->prog);
	const uint64_t notes = ev->notes & ~others;
	struct finding *row;
	struct out out;

	key.place = place_of(findings, ev->stack);
	key.call = ev->call;
	key.error = ev->error;
	row = find(findings, &key, times_of(ev), ev->pid, ev->time_ns);
	if (!row || *row->said)
		return;
	out = out_into(row->said, sizeof(row->said) - 1);
	if (ev->sock.local.family) {
		out_endpoint(&out, &ev->sock.local);
		out_str(&out, notes ? ": " : "");
	}
	if (notes)
		out_note(&out, (enum note_id)__builtin_ctzll(notes), ev);
	*out.at = '\0';
}

static void find_left_open(struct findings *findings, const struct event *ev)
{
	const struct held_sock *sock = held_find(&findings->held, ev->sock.cookie);
	struct finding_key key = key_of(GATE_LEFT_OPEN, ev->prog);

	if (ev->sock.state == STATE_LISTEN)
		return;
	key.place = sock && sock->place ? sock->place : place_of(findings, ev->stack);
	key.state = ev->sock.state;
	find(findings, &key, 1, ev->pid, ev->time_ns);
}

/* NULL, and not asked for again, where there was no room. */
static struct finding *row_of(struct findings *findings, struct held_sock *sock)
{
	struct finding_key key = key_of(GATE_CLOSE_WAIT, sock->prog);
	struct finding *row;

	if (sock->left_out)
		return NULL;
	if (sock->row)
		return table_at(&findings->rows, sock->row - 1);
	key.place = sock->place;
	row = find(findings, &key, 1, sock->pid, sock->since_ns);
	sock->left_out = !row;
	if (row)
		sock->row =
			(uint16_t)((size_t)((char *)row - findings->rows.rows) / sizeof(*row)) + 1;
	return row;
}

/* At so many milliseconds at least; once a connection, however often it is looked at. */
static void find_close_wait(struct findings *findings, struct held_sock *sock, uint64_t ms)
{
	struct finding *row = ms < findings->options->close_wait_ms ? NULL : row_of(findings, sock);

	if (row && ms > row->most_ms)
		row->most_ms = ms;
}

static void know(struct findings *findings, const struct event *ev)
{
	struct held_sock *sock = held_add(&findings->held, ev->sock.cookie);
	const bool made = ev->call == CALL_socket || ev->call == CALL_accept ||
			  ev->call == CALL_accept4 || ev->call == CALL_exit;

	if (!sock)
		return;
	if (!sock->since_ns) {
		sock->since_ns = ev->time_ns;
		sock->netns = ev->sock.netns;
		findings->elsewhere += sock->netns && findings->our_netns &&
				       sock->netns != (uint32_t)findings->our_netns;
	}
	if (!sock->place && made)
		sock->place = place_of(findings, ev->stack);
	sock->mptcp |= ev->call == CALL_socket && ev->has_args &&
		       ev->args.socket.protocol == IPPROTO_MPTCP;
	sock->listable = !sock->mptcp && sock->netns &&
			 sock->netns == (uint32_t)findings->our_netns &&
			 (STATE_BIT(ev->sock.state) & STATES_SYNCHRONIZED);
	sock->missing = false;
	sock->pid = ev->pid;
	memcpy(sock->prog, ev->prog, sizeof(sock->prog));
}

static void follow(struct findings *findings, const struct event *ev)
{
	if (ev->has_closed)
		held_remove(&findings->held, ev->more.closed.sock.cookie);
	if (!ev->sock.cookie)
		return;
	know(findings, ev);
	if (has(ev, NOTE_CLOSE_WAIT) && asked_for(findings, GATE_CLOSE_WAIT)) {
		struct held_sock *sock = held_find(&findings->held, ev->sock.cookie);

		if (sock)
			find_close_wait(findings, sock, ev->figures.close_wait_ms);
	}
	if (event_ends_socket(ev))
		held_remove(&findings->held, ev->sock.cookie);
}

void findings_event(struct findings *findings, const struct event *ev)
{
	findings->events++;
	images_event(&findings->images, ev);
	if (has(ev, NOTE_DOUBLE_CLOSE) && asked_for(findings, GATE_DOUBLE_CLOSE))
		find_double_close(findings, ev);
	if (has(ev, NOTE_RESET) && asked_for(findings, GATE_RESET))
		find_reset(findings, ev);
	if (ev->error && (ev->call == CALL_bind || ev->call == CALL_listen) && !ev->by_shim &&
	    asked_for(findings, GATE_BIND_FAILED))
		find_bind_failed(findings, ev);
	if (ev->call == CALL_exit && ev->has_fd && asked_for(findings, GATE_LEFT_OPEN))
		find_left_open(findings, ev);
	follow(findings, ev);
}

/* Since the peer's FIN, or since the program had it, if that is shorter. */
void findings_close_wait(struct findings *findings, const struct diag_sock *sock, uint64_t now_ns)
{
	struct held_sock *held = held_find(&findings->held, sock->cookie);
	uint64_t ms = sock->silent_ms, had_ms;

	if (!held || !asked_for(findings, GATE_CLOSE_WAIT))
		return;
	had_ms = now_ns > held->since_ns ? (now_ns - held->since_ns) / 1000000 : 0;
	find_close_wait(findings, held, ms < had_ms ? ms : had_ms);
}

/* So many sockets are few. Of those of which the kernel tells nothing no more are kept than that.
 */
enum { FEW = 4096, OTHERS_MOST = 65536 };

bool findings_hold_many(const struct findings *findings)
{
	return findings->held.count > FEW;
}

void findings_listed(struct findings *findings, uint64_t cookie)
{
	held_list(&findings->held, cookie);
}

void findings_forget(struct findings *findings)
{
	held_forget(&findings->held, OTHERS_MOST);
}

static void find_missing(struct findings *findings, const struct image *image)
{
	const struct finding_key key = key_of(GATE_LOST_EVENTS, image->prog);
	const uint64_t missing = image_missing(image);

	if (missing)
		find(findings, &key, missing, image->pid, image->first_ns);
	/* One that became another program has not ended. */
	findings->ends_unseen += !image->ended && images_is_newest(&findings->images, image);
}

/* As the note has it, with the longest of them. */
static void say_close_wait(struct finding *row)
{
	struct event ev;

	memset(&ev, 0, sizeof(ev));
	ev.figures.close_wait_ms = row->most_ms < UINT32_MAX ? (uint32_t)row->most_ms : UINT32_MAX;
	say(row, NOTE_CLOSE_WAIT, &ev);
}

void findings_finish(struct findings *findings)
{
	for (size_t i = 0; i < findings->images.count; i++)
		find_missing(findings, &findings->images.all[i]);
	for (size_t i = 0; i < findings->rows.count; i++) {
		struct finding *row = table_at(&findings->rows, i);

		if (row->key.code == GATE_CLOSE_WAIT)
			say_close_wait(row);
	}
}

void findings_begin(struct findings *findings)
{
	findings->rows = (struct table){.row_size = sizeof(struct finding),
					.key_size = sizeof(struct finding_key),
					.most = FOUND_MOST};
	findings->places = (struct table){.row_size = sizeof(struct code_place),
					  .key_size = sizeof(struct code_place),
					  .most = PLACES_MOST};
}

void findings_end(struct findings *findings)
{
	table_end(&findings->rows);
	table_end(&findings->places);
	held_end(&findings->held);
	images_end(&findings->images);
}

static int by_count(const void *a, const void *b)
{
	const struct finding *x = *(struct finding *const *)a, *y = *(struct finding *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

struct finding **findings_sorted(const struct findings *findings)
{
	const size_t count = findings->rows.count;
	struct finding **rows = count ? calloc(count, sizeof(*rows)) : NULL;

	for (size_t i = 0; rows && i < count; i++)
		rows[i] = table_at(&findings->rows, i);
	if (rows)
		qsort(rows, count, sizeof(*rows), by_count);
	return rows;
}
