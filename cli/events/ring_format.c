/* SPDX-License-Identifier: MIT */
/*
 * ring_format.c - see ring_format.h. A description may be anybody's: nothing of it is
 * believed but where a member lies and what it is called.
 */
#include "events/ring_format.h"

#include <string.h>

#include "events/numbers.h"
#include "facts/description.h"
#include "facts/event_shape.h"

static const char *const member_names[] = {
#define MEMBER(part, path, kind) #path,
#include "reuse/members.def"
};
_Static_assert(sizeof(member_names) / sizeof(member_names[0]) <= MEMBERS_MOST, "room for each");

struct cursor {
	const char *at, *end;
};

/* The name that comes next, ended within the description; NULL where it is not. */
static const char *next_name(struct cursor *cursor)
{
	const char *name = cursor->at;
	const char *end = memchr(name, 0, (size_t)(cursor->end - name));

	if (!end)
		return NULL;
	cursor->at = end + 1;
	return name;
}

static void learn_member(struct ring_format *ret, const char *name, uint16_t at, uint8_t size)
{
	for (unsigned int i = 0; i < event_member_count; i++)
		if (strcmp(member_names[i], name) == 0) {
			ret->member[i].at = at;
			ret->member[i].size = size;
		}
}

static bool read_members(struct ring_format *ret, struct cursor *cursor)
{
	enum { FIXED = 3 };

	while (cursor->end - cursor->at > FIXED) {
		uint16_t at;
		const uint8_t size = (uint8_t)cursor->at[2];
		const char *name;

		memcpy(&at, cursor->at, sizeof(at));
		cursor->at += FIXED;
		name = next_name(cursor);
		if (!name || !*name)
			return name != NULL;
		if (at + size > RECORD_MOST)
			return false;
		learn_member(ret, name, at, size);
	}
	return false;
}

/* A list of names: the number that each has in this build, from first on. */
static bool read_names(struct cursor *cursor, int (*find)(const char *name), unsigned int first,
		       uint8_t *ret, unsigned int most)
{
	for (unsigned int i = first;; i++) {
		const char *name = next_name(cursor);

		if (!name || !*name)
			return name != NULL;
		if (i >= most)
			return false;
		ret[i] = (uint8_t)find(name);
	}
}

/* Without these nothing could be sorted, nor told from what else it may be. */
static bool has_needed(struct ring_format *format)
{
	static const struct {
		uint16_t at;
		uint8_t size;
	} needed[] = {
		{offsetof(struct event, time_ns), 8},
		{offsetof(struct event, seq), 8},
		{offsetof(struct event, pid), 4},
		{offsetof(struct event, call), 1},
	};
	unsigned int found = 0;

	for (unsigned int i = 0; i < event_member_count; i++)
		for (size_t j = 0; j < sizeof(needed) / sizeof(needed[0]); j++) {
			const unsigned int end = format->member[i].at + format->member[i].size;

			if (event_members[i].at != needed[j].at ||
			    format->member[i].size != needed[j].size)
				continue;
			found++;
			if (end > format->least)
				format->least = (uint16_t)end;
		}
	return found == sizeof(needed) / sizeof(needed[0]);
}

bool format_read(struct ring_format *ret, const uint64_t *description)
{
	struct cursor cursor = {.at = (const char *)description};

	cursor.end = cursor.at + RING_DESCRIPTION;
	memset(ret, 0, sizeof(*ret));
	memset(ret->call, CALL_COUNT, sizeof(ret->call));
	memset(ret->note, NOTE_COUNT, sizeof(ret->note));
	memset(ret->state, STATE_COUNT, sizeof(ret->state));
	ret->state[STATE_UNKNOWN] = STATE_UNKNOWN;
	ret->ours = memcmp(description, ring_description(), RING_DESCRIPTION) == 0;
	return read_members(ret, &cursor) &&
	       read_names(&cursor, find_call, 0, ret->call, CALLS_MOST) &&
	       read_names(&cursor, find_note, 0, ret->note, NOTES_MOST) &&
	       read_names(&cursor, find_state, 1, ret->state, STATES_MOST) && has_needed(ret);
}

static uint64_t number_of(const char *at, size_t size)
{
	uint64_t number = 0;

	memcpy(&number, at, size);
	return number;
}

/* Of another size than here: its sign goes on. */
static uint64_t signed_of(const char *at, size_t size)
{
	const unsigned int above = 64 - 8 * (unsigned int)size;

	return (uint64_t)((int64_t)(number_of(at, size) << above) >> above);
}

static uint8_t state_of(const struct ring_format *format, uint64_t number)
{
	const uint8_t state = number < STATES_MOST ? format->state[number] : STATE_COUNT;

	return state < STATE_COUNT ? state : STATE_UNKNOWN;
}

/* A set of the other build's numbers as one of ours. */
static uint64_t set_of(const uint8_t *ours, unsigned int most, unsigned int count, uint64_t theirs)
{
	uint64_t set = 0;

	for (unsigned int i = 0; i < most; i++)
		if ((theirs >> i & 1) && ours[i] < count)
			set |= UINT64_C(1) << ours[i];
	return set;
}

static uint64_t value_of(const struct ring_format *format, enum member_kind kind, const char *at,
			 size_t size)
{
	const uint64_t number = number_of(at, size);

	switch (kind) {
	case KIND_SIGNED:
		return signed_of(at, size);
	case KIND_CALL:
		return number < CALLS_MOST ? format->call[number] : (uint64_t)CALL_COUNT;
	case KIND_STATE:
		return state_of(format, number);
	case KIND_STATE_SET:
		return set_of(format->state, STATES_MOST, STATE_COUNT, number);
	case KIND_NOTES:
		return set_of(format->note, NOTES_MOST, NOTE_COUNT, number);
	default:
		return number;
	}
}

static void take_states(const struct ring_format *format, const char *at, size_t size, uint8_t *ret,
			size_t most)
{
	for (size_t i = 0; i < size && i < most; i++)
		ret[i] = state_of(format, (uint8_t)at[i]);
}

static void take_tally(const struct ring_format *format, const char *at, size_t size, uint8_t *ret)
{
	const size_t of = sizeof(uint32_t);

	for (size_t i = 0; i < size / of && i < STATES_MOST; i++)
		if (format->state[i] < STATE_COUNT)
			memcpy(ret + format->state[i] * of, at + i * of, of);
}

/* One member, as far as the record goes. */
static void take_member(const struct ring_format *format, unsigned int index, const char *bytes,
			size_t size, struct event *ret)
{
	const struct event_member *ours = &event_members[index];
	const enum member_kind kind = (enum member_kind)ours->kind;
	const size_t at = format->member[index].at, whole = format->member[index].size;
	const size_t there = at >= size ? 0 : size - at < whole ? size - at : whole;
	uint8_t *to = (uint8_t *)ret + ours->at;
	uint64_t value;

	if (kind == KIND_BYTES || kind == KIND_TEXT) {
		memcpy(to, bytes + at, there < ours->size ? there : ours->size);
		if (kind == KIND_TEXT)
			to[ours->size - 1] = '\0';
	} else if (kind == KIND_STATES) {
		take_states(format, bytes + at, there, to, ours->size);
	} else if (kind == KIND_TALLY) {
		take_tally(format, bytes + at, there, to);
	} else if (there && there == whole && whole <= sizeof(value)) {
		value = value_of(format, kind, bytes + at, whole);
		memcpy(to, &value, ours->size);
	}
}

static void take_part(const struct ring_format *format, enum event_part part, const char *bytes,
		      size_t size, struct event *ret)
{
	for (unsigned int i = 0; i < event_member_count; i++)
		if (event_members[i].part == part)
			take_member(format, i, bytes, size, ret);
}

/* A way over a state that has no name here is no way that can be shown. */
static void check_way(struct sock_view *view)
{
	for (unsigned int i = 0; i < view->n_via && i < VIA_MAX; i++)
		if (view->via[i] == STATE_UNKNOWN) {
			view->n_via = 0;
			return;
		}
}

/*
 * Any number is a call to the other build, a 0 that no note tells as well. An event that tells of
 * one without a name here is left out, as those of that call are.
 */
static void check_figures(struct event *ev)
{
	if (ev->figures.closed_call < CALL_COUNT)
		return;
	ev->figures.closed_call = 0;
	if (ev->notes & NOTE_BIT(NOTE_DOUBLE_CLOSE))
		ev->call = CALL_COUNT;
}

void format_event(const struct ring_format *format, const char *bytes, size_t size,
		  struct event *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (format->ours) {
		memcpy(ret, bytes, size < sizeof(*ret) ? size : sizeof(*ret));
		return;
	}
	take_part(format, PART_EVENT, bytes, size, ret);
	take_part(format, PART_FIGURES, bytes, size, ret);
	check_way(&ret->sock);
	check_figures(ret);
	if (ret->call >= CALL_COUNT)
		return;

	const enum event_part args = call_args((enum call_id)ret->call);
	const enum event_part more = call_more((enum call_id)ret->call);

	ret->has_args &= args != PART_NOTHING;
	ret->has_closed &= more == PART_CLOSED;
	ret->has_totals &= more == PART_TOTALS;
	take_part(format, args, bytes, size, ret);
	take_part(format, more, bytes, size, ret);
	if (ret->has_repeated)
		take_part(format, PART_REPEATED, bytes, size, ret);
	if (more == PART_CLOSED)
		check_way(&ret->more.closed.sock);
}
