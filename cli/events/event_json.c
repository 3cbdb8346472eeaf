/* SPDX-License-Identifier: MIT */
/*
 * event_json.c - see event_json.h. A line may be anybody's: what comes of it is looked at as what
 * comes of a record is (facts/event_shape.h).
 */
#include "events/event_json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "events/decimal.h"
#include "events/json_take.h"
#include "events/note_json.h"
#include "events/places.h"
#include "facts/callsite.h"
#include "facts/event_shape.h"

bool event_json_begin(struct event_json *reader)
{
	reader->json = json_make();
	*reader->second = '\0';
	return reader->json != NULL;
}

void event_json_end(struct event_json *reader)
{
	if (note_said == &reader->said)
		note_said = NULL;
	json_free(reader->json);
	reader->json = NULL;
}

/* So many digits. */
static int number_at(const char *text, int digits)
{
	int number = 0;

	while (digits-- > 0)
		number = number * 10 + (*text++ - '0');
	return number;
}

/* Up to the second: "2026-11-24T17:02:11". False where it is before 1970. */
static bool seconds_of(const char *text, uint64_t *ret)
{
	struct tm date = {
		.tm_year = number_at(text, 4) - 1900,
		.tm_mon = number_at(text + 5, 2) - 1,
		.tm_mday = number_at(text + 8, 2),
		.tm_hour = number_at(text + 11, 2),
		.tm_min = number_at(text + 14, 2),
		.tm_sec = number_at(text + 17, 2),
	};
	const time_t seconds = timegm(&date);

	*ret = (uint64_t)seconds;
	return seconds >= 0;
}

/* "2026-11-24T17:02:11.042390Z"; most lines are of the same second as the one before. */
static bool take_time(struct event_json *reader, uint64_t *ret)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
	enum { SECOND = 19 };
	const uint64_t us = 1000;
	char text[sizeof(form)];

	if (!take_text(reader->json, JSON_ROOT, "time", text, sizeof(text)))
		return false;
	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	if (memcmp(reader->second, text, SECOND) != 0) {
		*reader->second = '\0';
		if (!seconds_of(text, &reader->seconds))
			return false;
		memcpy(reader->second, text, SECOND);
	}
	*ret = (reader->seconds * 1000000 + (uint64_t)number_at(text + 20, 6)) * us;
	return *ret / us / 1000000 == reader->seconds;
}

/* False where it has failed in a way that has no name here. */
static bool take_fd_and_result(struct json *json, struct event *ret)
{
	char name[NAME_ROOM];
	int64_t number;

	ret->has_fd = take_i32(json, JSON_ROOT, "fd", &ret->fd);
	ret->has_ret =
		json_i64(json, json_member(json, JSON_ROOT, "ret"), INT64_MIN, INT64_MAX, &number);
	if (ret->has_ret)
		ret->ret = number;
	if (take_text(json, JSON_ROOT, "error", name, sizeof(name)))
		return find_error(name, &ret->error);
	take_i32(json, JSON_ROOT, "error", &ret->error);
	return true;
}

/* "SOCK_STREAM|SOCK_NONBLOCK", or a number. */
static bool take_type(struct json *json, json_ref args, int *ret)
{
	char text[NAME_ROOM], *rest, *name;
	int flag;

	if (!take_text(json, args, "type", text, sizeof(text)))
		return take_i32(json, args, "type", ret);
	name = strtok_r(text, "|", &rest);
	if (!name || !find_constant(NAMES_type, name, ret))
		return false;
	while ((name = strtok_r(NULL, "|", &rest))) {
		if (!find_constant(NAMES_type_flag, name, &flag))
			return false;
		*ret |= flag;
	}
	return true;
}

static int nibble(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool take_bytes(const char *text, struct option_value *ret)
{
	const size_t len = strlen(text) / 2;

	if (len > sizeof(ret->bytes) || text[2 * len])
		return false;
	for (size_t i = 0; i < len; i++) {
		const int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret->bytes[i] = (uint8_t)(high << 4 | low);
	}
	ret->len = (uint32_t)len;
	return true;
}

/* A number, SO_ERROR's name, or bytes in hexadecimal. */
static bool take_value(struct json *json, json_ref args, const struct event *ev,
		       struct option_value *ret)
{
	const bool is_error =
		ev->args.sockopt.level == SOL_SOCKET && ev->args.sockopt.option == SO_ERROR;
	char text[2 * sizeof(ret->bytes) + 1];
	int32_t number;

	if (!json_member(json, args, "value"))
		return true;
	ret->readable = true;
	if (!take_i32(json, args, "value", &number)) {
		if (!take_text(json, args, "value", text, sizeof(text)))
			return false;
		if (!is_error || !find_error(text, &number))
			return take_bytes(text, ret);
	}
	memcpy(ret->bytes, &number, sizeof(number));
	ret->len = sizeof(number);
	return true;
}

static bool take_sockopt(struct json *json, json_ref args, struct event *ret)
{
	char name[NAME_ROOM];
	int *level = &ret->args.sockopt.level, *option = &ret->args.sockopt.option;

	if (!take_constant(json, args, "level", NAMES_level, level))
		return false;
	if (take_text(json, args, "option", name, sizeof(name))) {
		if (!find_option(*level, name, option))
			return false;
	} else if (!take_i32(json, args, "option", option)) {
		return false;
	}
	return take_value(json, args, ret, &ret->more.value);
}

static bool take_fcntl(struct json *json, json_ref args, struct event *ret)
{
	int64_t newfd;

	if (!json_i64(json, json_member(json, args, "newfd"), INT64_MIN, INT64_MAX, &newfd))
		return false;
	ret->args.fcntl.newfd = newfd;
	return take_constant(json, args, "command", NAMES_fcntl, &ret->args.fcntl.command);
}

/* False where an argument is missing, or has a name that is not known here. */
static bool take_args(struct json *json, struct event *ret)
{
	const json_ref args = json_member(json, JSON_ROOT, "args");

	ret->has_args = args != 0;
	if (!args)
		return true;
	switch (call_args((enum call_id)ret->call)) {
	case PART_SOCKET:
		return take_constant(json, args, "domain", NAMES_domain,
				     &ret->args.socket.domain) &&
		       take_type(json, args, &ret->args.socket.type) &&
		       take_constant(json, args, "protocol", NAMES_protocol,
				     &ret->args.socket.protocol);
	case PART_SOCKOPT:
		return take_sockopt(json, args, ret);
	case PART_BACKLOG:
		return take_i32(json, args, "backlog", &ret->args.backlog);
	case PART_HOW:
		return take_constant(json, args, "how", NAMES_how, &ret->args.how);
	case PART_NEWFD:
		return take_i32(json, args, "newfd", &ret->args.newfd);
	case PART_FCNTL:
		return take_fcntl(json, args, ret);
	default:
		return false;
	}
}

/* A way over a state that has no name here is no way that can be shown. */
static void take_via(struct json *json, json_ref object, struct sock_view *ret)
{
	const json_ref via = json_member(json, object, "via");

	for (json_ref at = json_first(json, via); at; at = json_next(json, via, at)) {
		const uint8_t state = state_of(json, at);

		if (state == STATE_UNKNOWN || ret->n_via == VIA_MAX) {
			ret->n_via = 0;
			return;
		}
		ret->via[ret->n_via++] = state;
	}
}

static void take_sock(struct json *json, json_ref object, struct sock_view *ret)
{
	take_unsigned(json, object, "sock", &ret->cookie, sizeof(ret->cookie));
	take_unsigned(json, object, "netns", &ret->netns, sizeof(ret->netns));
	take_endpoint(json, object, "local", &ret->local);
	take_endpoint(json, object, "peer", &ret->peer);
	take_state(json, object, "was", &ret->was);
	take_via(json, object, ret);
	take_state(json, object, "state", &ret->state);
	ret->has_timer =
		take_unsigned(json, object, "timer_ms", &ret->timer_ms, sizeof(ret->timer_ms));
}

/* Is anything known of a socket? */
static bool is_known(const struct sock_view *sock)
{
	return sock->cookie || sock->local.family || sock->peer.family || sock->n_via ||
	       sock->was != STATE_UNKNOWN || sock->state != STATE_UNKNOWN;
}

static bool take_closed(struct json *json, struct event *ret)
{
	const json_ref closed = json_member(json, JSON_ROOT, "closed");

	ret->has_closed = closed != 0;
	if (!closed)
		return true;
	take_sock(json, closed, &ret->more.closed.sock);
	return call_more((enum call_id)ret->call) == PART_CLOSED &&
	       take_i32(json, closed, "fd", &ret->more.closed.fd);
}

static bool take_totals(struct json *json, struct event *ret)
{
	const json_ref totals = json_member(json, JSON_ROOT, "totals");

	ret->has_totals = totals != 0;
	if (!totals)
		return true;
	if (call_more((enum call_id)ret->call) != PART_TOTALS || !json_is_object(json, totals))
		return false;
	for (int state = STATE_UNKNOWN + 1; state < STATE_COUNT; state++)
		take_unsigned(json, totals, state_name((enum tcp_state_id)state),
			      &ret->more.totals.of_state[state], sizeof(uint32_t));
	take_unsigned(json, JSON_ROOT, "unlisted", &ret->more.totals.unlisted,
		      sizeof(ret->more.totals.unlisted));
	return true;
}

/* How long ago the first was is all that is told of when it was. */
static bool take_repeated(struct json *json, struct event *ret)
{
	const json_ref repeated = json_member(json, JSON_ROOT, "repeated");
	uint64_t over_ns;

	ret->has_repeated = repeated != 0;
	if (!repeated)
		return true;
	if (!take_unsigned(json, repeated, "times", &ret->more.repeated.times, sizeof(uint64_t)) ||
	    !take_ms(json, repeated, "over_ms", &over_ns))
		return false;
	ret->more.repeated.since_ns = 0;
	ret->began_ns = over_ns - ret->dur_ns;
	return true;
}

/* The sentence, behind those that were read before. */
static void keep_sentence(struct event_json *reader, json_ref object, int note, char **room)
{
	char *const end = reader->texts + sizeof(reader->texts);

	if (end - *room < 2 || !json_string(reader->json, json_member(reader->json, object, "text"),
					    *room, (size_t)(end - *room)))
		return;
	reader->said.text[note] = *room;
	*room += strlen(*room) + 1;
}

/* A note whose code is not known here is left out, as from another build's recorder. */
static void take_notes(struct event_json *reader, struct event *ret, bool *full)
{
	struct json *json = reader->json;
	const json_ref notes = json_member(json, JSON_ROOT, "notes");
	char *room = reader->texts, code[NAME_ROOM];

	for (json_ref at = json_first(json, notes); at; at = json_next(json, notes, at)) {
		int note = NOTE_COUNT;

		if (take_text(json, at, "code", code, sizeof(code)))
			note = find_note(code);
		if (note == NOTE_COUNT || (ret->notes & NOTE_BIT(note)))
			continue;
		if (!note_read(json, at, (enum note_id)note, ret, full))
			continue;
		ret->notes |= NOTE_BIT(note);
		keep_sentence(reader, at, note, &room);
	}
}

static void take_stack(struct json *json, struct event *ret, bool *full)
{
	const json_ref stack = json_member(json, JSON_ROOT, "stack");
	uint64_t numbers[CALLSITE_FRAMES];
	unsigned int n = 0;

	for (json_ref at = json_first(json, stack); at && n < CALLSITE_FRAMES;
	     at = json_next(json, stack, at))
		n += take_place(json, at, &numbers[n], full);
	ret->stack = callsite_id(numbers, n);
}

/* False where the tables of places are full. */
static bool take_notes_and_stack(struct event_json *reader, struct event *ret)
{
	bool full = false;

	memset(&reader->said, 0, sizeof(reader->said));
	ret->notes = 0;
	take_notes(reader, ret, &full);
	take_stack(reader->json, ret, &full);
	return !full;
}

static bool take_age(struct json *json, struct event *ret)
{
	if (take_ms(json, JSON_ROOT, "age_ms", &ret->figures.age_ns))
		ret->figures.age_ns += !ret->figures.age_ns; /* 0 would be: not known */
	return true;
}

/* All but who made it and which call it was. */
static bool take_rest(struct event_json *reader, struct event *ret)
{
	struct json *json = reader->json;

	if (!take_fd_and_result(json, ret))
		return false;
	take_unsigned(json, JSON_ROOT, "dur_ns", &ret->dur_ns, sizeof(ret->dur_ns));
	take_sock(json, JSON_ROOT, &ret->sock);
	ret->has_sock = is_known(&ret->sock);
	if (!take_args(json, ret) || !take_closed(json, ret) || !take_totals(json, ret) ||
	    !take_repeated(json, ret) || !take_age(json, ret))
		return false;
	/* Full after some thousand places: begin anew. */
	return places_ready(false) && (take_notes_and_stack(reader, ret) ||
				       (places_ready(true) && take_notes_and_stack(reader, ret)));
}

static bool take_who(struct event_json *reader, struct event *ret)
{
	struct json *json = reader->json;
	char by[NAME_ROOM];

	ret->by_shim = take_text(json, JSON_ROOT, "by", by, sizeof(by)) && strcmp(by, "shim") == 0;
	return take_time(reader, &ret->time_ns) && take_i32(json, JSON_ROOT, "pid", &ret->pid) &&
	       take_i32(json, JSON_ROOT, "tid", &ret->tid) &&
	       take_text(json, JSON_ROOT, "prog", ret->prog, sizeof(ret->prog)) &&
	       take_unsigned(json, JSON_ROOT, "seq", &ret->seq, sizeof(ret->seq));
}

enum event_line event_json_read(struct event_json *reader, const char *line, size_t len,
				struct event *ret)
{
	enum { VERSION = 1 };
	struct json *json = reader->json;
	char name[NAME_ROOM];
	uint64_t version;
	int call;

	note_said = NULL;
	memset(ret, 0, sizeof(*ret));
	if (!json_read(json, line, len) ||
	    !json_u64(json, json_member(json, JSON_ROOT, "v"), UINT64_MAX, &version) ||
	    !take_text(json, JSON_ROOT, "call", name, sizeof(name)) || !take_who(reader, ret))
		return LINE_OTHER;
	call = find_call(name);
	if (version != VERSION || call == CALL_COUNT)
		return LINE_UNKNOWN;
	ret->call = (uint8_t)call;
	if (!take_rest(reader, ret) || json_is_doubtful(json) || !event_is_sound(ret))
		return LINE_OTHER;
	note_said = &reader->said;
	return LINE_EVENT;
}
