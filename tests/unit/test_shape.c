/* SPDX-License-Identifier: MIT */
/*
 * test_shape.c - facts/event_shape, and all that lives by it: an event of each row of
 * calls.def and notes.def, with every member of its parts, goes into a record of the
 * flight recorder, and into a line of JSON, and comes back the same.
 */
#include "facts/event_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "events/event_json.h"
#include "events/records.h"
#include "facts/callsite.h"
#include "facts/description.h"
#include "facts/frames.h"
#include "log/record.h"
#include "log/render.h"
#include "unit.h"

enum { ROOM = 8192 };

struct lines {
	char json[ROOM], text[ROOM];
};

static void render(struct lines *ret, const struct event *ev)
{
	struct out out = out_into(ret->json, sizeof(ret->json) - 1);

	render_json(&out, ev);
	assert_false(out.truncated);
	*out.at = 0;
	out = out_into(ret->text, sizeof(ret->text) - 1);
	render_text(&out, ev, &(struct text_style){0});
	assert_false(out.truncated);
	*out.at = 0;
}

/* Something that is not 0, and not what its neighbour has. */
static void fill(struct event *ev, const struct event_member *member)
{
	const unsigned int number = 1 + (unsigned int)(member - event_members) % 100;
	uint8_t *at = (uint8_t *)ev + member->at;
	const uint16_t family = AF_INET6;
	const uint32_t states = STATE_BIT(STATE_LAST_ACK);

	switch ((enum member_kind)member->kind) {
	case KIND_NUMBER:
	case KIND_SIGNED:
	case KIND_BYTES:
	case KIND_TALLY:
		memset(at, (int)number, member->size);
		return;
	case KIND_TEXT:
		memset(at, 'a' + (int)number % 26, member->size - 1u);
		return;
	case KIND_FLAG:
	case KIND_TWO_BITS:
		*at = 1;
		return;
	case KIND_FAMILY:
		memcpy(at, &family, sizeof(family));
		return;
	case KIND_STATE_SET:
		memcpy(at, &states, sizeof(states));
		return;
	case KIND_STATE:
		*at = (uint8_t)(1 + number % (STATE_COUNT - 1));
		return;
	case KIND_LENGTH:
		*at = VIA_MAX;
		return;
	case KIND_STATES:
		for (int i = 0; i < member->size; i++)
			at[i] = (uint8_t)(1 + i % (STATE_COUNT - 1));
		return;
	case KIND_CALL:
	case KIND_NOTES:
		return; /* the test's own */
	}
}

static void fill_part(struct event *ev, enum event_part part)
{
	for (unsigned int i = 0; i < event_member_count; i++)
		if (event_members[i].part == part)
			fill(ev, &event_members[i]);
}

/* A stack of one place. */
static uint32_t a_stack(void)
{
	enum { ADDRESS = 4096 };
	static void *frames, *callsites;
	struct frame *frame;
	uint64_t number;

	if (!frames) {
		frames = calloc(1, frames_size());
		callsites = calloc(1, callsites_size());
		assert_true(frames && callsites);
	}
	memset(frames, 0, frames_size());
	memset(callsites, 0, callsites_size());
	frames_init(frames);
	callsites_init(callsites);
	frame = frames_claim(ADDRESS);
	assert_non_null(frame);
	strcpy(frame->module, "server");
	strcpy(frame->symbol, "main");
	frames_enter(frame, ADDRESS);
	number = frames_number(frame);
	return callsite_id(&number, 1);
}

/*
 * All that an event of this call with these notes can have; and the figures and the
 * call's part of the union whether or not the tables say that the notes need them.
 */
static struct event full_event(enum call_id call, uint64_t notes)
{
	const enum event_part args = call_args(call), more = call_more(call);
	struct event ev = {0};

	fill_part(&ev, PART_EVENT);
	ev.call = (uint8_t)call;
	ev.notes = notes;
	ev.stack = 0;
	ev.error = EADDRINUSE;
	ev.has_args = args != PART_NOTHING;
	ev.has_closed = more == PART_CLOSED;
	ev.has_totals = more == PART_TOTALS;
	fill_part(&ev, args);
	fill_part(&ev, more);
	if (more == PART_VALUE)
		ev.more.value.len = sizeof(ev.more.value.bytes);
	ev.has_repeated = more == PART_VALUE || more == PART_NOTHING;
	if (ev.has_repeated)
		fill_part(&ev, PART_REPEATED);
	fill_part(&ev, PART_FIGURES);
	ev.figures.closed_call = CALL_shutdown;
	ev.figures.closed_at = a_stack();
	if (call != CALL_exit)
		ev.figures.age_ns = 0;
	return ev;
}

static const struct ring_format *our_format(void)
{
	static struct ring_format format;

	if (!format.least)
		assert_true(format_read(&format, ring_description()));
	return &format;
}

static struct event through_record(const struct event *ev)
{
	uint64_t words[RECORD_MOST / sizeof(uint64_t)];
	const uint16_t size = record_of(ev, words, sizeof(words));
	struct event read;

	assert_int_equal(record_size(our_format(), words, sizeof(words)), size);
	assert_true(record_read(our_format(), words, &read));
	return read;
}

static void read_line(const char *line, struct event *ret)
{
	static struct event_json reader;

	if (!reader.json)
		assert_true(event_json_begin(&reader));
	assert_int_equal(event_json_read(&reader, line, strlen(line) - 1, ret), LINE_EVENT);
}

/* What it shows, and each member of the parts that it has. */
static void goes_and_comes_back(enum call_id call, uint64_t notes)
{
	static struct lines before, after;
	const struct event ev = full_event(call, notes);
	const struct event read = through_record(&ev);
	struct event from_json;

	assert_true(event_is_sound(&ev));
	render(&before, &ev);
	render(&after, &read);
	assert_string_equal(before.json, after.json);
	assert_string_equal(before.text, after.text);
	read_line(before.json, &from_json);
	render(&after, &from_json);
	note_said = NULL;
	assert_string_equal(before.json, after.json);
	/* In JSON there is no way that a closed one took, no duration of what is no call. */
	if (!ev.has_closed && call != CALL_exit && call != CALL_wait)
		assert_string_equal(before.text, after.text);
	for (unsigned int i = 0; i < event_member_count; i++) {
		const struct event_member *member = &event_members[i];

		/* Numbers of a process's own; what they stand for is in the lines. */
		if (member->at == offsetof(struct event, stack) ||
		    member->at == offsetof(struct event, figures.closed_at))
			continue;
		if (event_has(&ev, (enum event_part)member->part))
			assert_memory_equal((const char *)&ev + member->at,
					    (const char *)&read + member->at, member->size);
	}
}

static void every_call(void **state)
{
	(void)state;
	for (int call = 0; call < CALL_COUNT; call++)
		goes_and_comes_back((enum call_id)call, 0);
}

/* Each member of a call's arguments is told, in both formats: another value makes another line. */
static void every_argument(void **state)
{
	static const char *const paths[] = {
#define MEMBER(part, path, kind) #path,
#include "reuse/members.def"
	};
	static struct lines before, after;

	(void)state;
	for (int call = 0; call < CALL_COUNT; call++)
		for (unsigned int i = 0; i < event_member_count; i++) {
			struct event ev = full_event((enum call_id)call, 0);

			if (event_members[i].part != call_args((enum call_id)call))
				continue;
			render(&before, &ev);
			memset((char *)&ev + event_members[i].at, 0, event_members[i].size);
			render(&after, &ev);
			if (strcmp(before.json, after.json) == 0)
				fail_msg("json.c does not show %s", paths[i]);
			if (strcmp(before.text, after.text) == 0)
				fail_msg("text.c does not show %s", paths[i]);
		}
}

static bool may_bear(enum call_id call, enum note_id note)
{
	const enum event_part holds = note_holds(note);

	return (holds != PART_HOLDERS && holds != PART_DESCRIPTORS) || call_more(call) == holds;
}

/* Whatever a sentence takes its figures from: notes.def must say so. */
static void every_note(void **state)
{
	(void)state;
	for (int note = 0; note < NOTE_COUNT; note++) {
		int bearers = 0;

		for (int call = 0; call < CALL_COUNT; call++)
			if (may_bear((enum call_id)call, (enum note_id)note)) {
				goes_and_comes_back((enum call_id)call, NOTE_BIT(note));
				bearers++;
			}
		assert_true(bearers > 0);
	}
}

/* Does the one note of the line have the key? */
static bool has_key(const char *json, const char *key)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), ",\"%s\":", key);
	return strstr(strstr(json, "\"notes\":"), quoted) != NULL;
}

static enum call_id bearer_of(enum note_id note)
{
	int call = 0;

	while (!may_bear((enum call_id)call, note))
		call++;
	return (enum call_id)call;
}

/* Of a row OWNER there are two pairs, one where the pid is known and one where it is not. */
static void assert_key(enum note_id note, const char *key, bool is_owner)
{
	static struct lines lines;
	struct event ev = full_event(bearer_of(note), NOTE_BIT(note));

	if (strcmp(key, "self_connected") == 0)
		ev.more.holders.peer = ev.more.holders.local;
	if (strcmp(key, "peer") == 0)
		ev.figures.earlier = false; /* of an attempt to elsewhere the event's is none */
	render(&lines, &ev);
	if (!is_owner) {
		if (!has_key(lines.json, key))
			fail_msg("no %s in %s", key, lines.json);
		return;
	}
	assert_true(has_key(lines.json, "pid") && has_key(lines.json, "prog"));
	assert_false(has_key(lines.json, "inode") || has_key(lines.json, "uid"));
	ev.more.holders.pid = 0;
	render(&lines, &ev);
	assert_false(has_key(lines.json, "pid") || has_key(lines.json, "prog"));
	assert_true(has_key(lines.json, "inode") && has_key(lines.json, "uid"));
}

static void assert_kept(enum note_id note, size_t at)
{
	const enum event_part holds = note_holds(note);

	if (at < offsetof(struct event, more))
		return;
	if (at < offsetof(struct event, figures))
		assert_true(holds == PART_HOLDERS || holds == PART_DESCRIPTORS);
	else
		assert_int_equal(holds, PART_FIGURES);
}

/* What notes.def says is shown, is shown, and was kept where the note says it has it. */
static void every_key(void **state)
{
	(void)state;
#define SHOWS(id, key, shown, member)                                                              \
	assert_key(NOTE_##id, #key, strcmp(#shown, "OWNER") == 0);                                 \
	assert_kept(NOTE_##id, offsetof(struct event, member));
#include "reuse/notes.def"
}

/* What there is not is not shown: a flag that is false, a count of none. */
static void nothing_to_say(void **state)
{
	static const char *const keys[] = {"incomplete", "peer",  "bound",  "live",
					   "dying",	 "state", "max_ms", "had_option"};
	static struct lines lines;

	(void)state;
	for (enum note_id note = NOTE_IN_USE_LISTENER; note <= NOTE_IN_USE_DYING; note++) {
		struct event ev = full_event(CALL_bind, NOTE_BIT(note));

		memset(&ev.more, 0, sizeof(ev.more));
		ev.more.holders.state = STATE_TIME_WAIT;
		ev.more.holders.looked_up = true;
		render(&lines, &ev);
		for (size_t i = 0; i < COUNT_OF(keys); i++)
			if (note != NOTE_IN_USE_DYING || strcmp(keys[i], "dying") != 0)
				assert_false(has_key(lines.json, keys[i]));
	}
}

/* The value of an option is kept as far as it goes. */
static void every_length(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 2 * sizeof(((struct option_value *)0)->bytes); len++) {
		struct event ev = full_event(CALL_setsockopt, 0), read;
		const size_t kept =
			len < sizeof(ev.more.value.bytes) ? len : sizeof(ev.more.value.bytes);

		ev.more.value.len = len;
		read = through_record(&ev);
		assert_int_equal(read.more.value.len, len);
		assert_memory_equal(read.more.value.bytes, ev.more.value.bytes, kept);
	}
}

/* Each member of the parts that a sound event has; a value that its kind can't have. */
static bool spoil(struct event *ev, const struct event_member *member)
{
	uint8_t *at = (uint8_t *)ev + member->at;

	switch ((enum member_kind)member->kind) {
	case KIND_NUMBER:
	case KIND_SIGNED:
	case KIND_BYTES:
	case KIND_TALLY:
		return false;
	case KIND_TEXT:
	case KIND_FLAG:
	case KIND_TWO_BITS:
	case KIND_FAMILY:
	case KIND_CALL:
	case KIND_STATE:
	case KIND_LENGTH:
	case KIND_STATES:
	case KIND_STATE_SET:
	case KIND_NOTES:
		memset(at, 0xff, member->size);
		return true;
	}
	return false;
}

static void nothing_unsound(void **state)
{
	(void)state;
	for (int call = 0; call < CALL_COUNT; call++) {
		const enum event_part more = call_more((enum call_id)call);
		const uint64_t notes =
			NOTE_BIT(NOTE_LOST_EVENTS) |
			(more == PART_HOLDERS ? NOTE_BIT(NOTE_IN_USE_DYING) : 0) |
			(more == PART_DESCRIPTORS ? NOTE_BIT(NOTE_NO_DESCRIPTORS) : 0);

		for (unsigned int i = 0; i < event_member_count; i++) {
			struct event ev = full_event((enum call_id)call, notes);
			const bool has = event_has(&ev, (enum event_part)event_members[i].part);

			if (has && spoil(&ev, &event_members[i]))
				assert_false(event_is_sound(&ev));
		}
	}
}

/* A part of the union that another kind of call has. */
static void nothing_of_another_call(void **state)
{
	struct event ev = full_event(CALL_close, 0);

	(void)state;
	assert_true(event_is_sound(&ev));
	ev.has_args = true;
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_close, 0);
	ev.has_closed = true;
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_close, 0);
	ev.has_totals = true;
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_dup, NOTE_BIT(NOTE_IN_USE_BOUND));
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_close, NOTE_BIT(NOTE_NO_DESCRIPTORS));
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_bind, NOTE_BIT(NOTE_NO_DESCRIPTORS));
	assert_false(event_is_sound(&ev));
	ev = full_event(CALL_bind, NOTE_BIT(NOTE_IN_USE_DYING));
	assert_true(event_is_sound(&ev));
	ev.has_repeated = true;
	assert_false(event_is_sound(&ev));
	ev.has_repeated = false;
	ev.more.holders.state = STATE_UNKNOWN;
	assert_true(event_is_sound(&ev)); /* brief: none is named */
	ev.more.holders.brief = false;
	assert_false(event_is_sound(&ev));
}

/* Nor is there a timer of a state that nobody asked for. */
static void no_timer_without_a_state(void **state)
{
	struct event ev = full_event(CALL_close, 0);

	(void)state;
	ev.sock.has_timer = true;
	ev.sock.state = STATE_TIME_WAIT;
	assert_true(event_is_sound(&ev));
	ev.sock.state = STATE_UNKNOWN;
	assert_false(event_is_sound(&ev));
	ev.sock.has_timer = false;
	assert_true(event_is_sound(&ev));
	ev.has_closed = true;
	ev.more.closed.sock = (struct sock_view){.has_timer = true};
	assert_false(event_is_sound(&ev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(every_argument),
		cmocka_unit_test(every_note),
		cmocka_unit_test(every_key),
		cmocka_unit_test(nothing_to_say),
		cmocka_unit_test(every_length),
		cmocka_unit_test(nothing_unsound),
		cmocka_unit_test(nothing_of_another_call),
		cmocka_unit_test(no_timer_without_a_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
