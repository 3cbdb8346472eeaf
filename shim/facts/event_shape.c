/* SPDX-License-Identifier: MIT */
/*
 * event_shape.c - see event_shape.h.
 */
#include "facts/event_shape.h"

#include <string.h>
#include <sys/socket.h>

const struct event_member event_members[] = {
#define MEMBER(in, path, is)                                                                       \
	{                                                                                          \
		.at = offsetof(struct event, path),                                                \
		.size = sizeof(((struct event *)0)->path),                                         \
		.part = PART_##in,                                                                 \
		.kind = KIND_##is,                                                                 \
	},
#include "reuse/members.def"
};
const unsigned int event_member_count = sizeof(event_members) / sizeof(event_members[0]);

/* The notes that need a part. */
#define NOTE(id, code, holds) | (PART_##holds == PART_FIGURES ? NOTE_BIT(NOTE_##id) : 0)
static const uint64_t with_figures = 0
#include "reuse/notes.def"
	;
#define NOTE(id, code, holds) | (PART_##holds == PART_HOLDERS ? NOTE_BIT(NOTE_##id) : 0)
static const uint64_t with_holders = 0
#include "reuse/notes.def"
	;
#define NOTE(id, code, holds) | (PART_##holds == PART_DESCRIPTORS ? NOTE_BIT(NOTE_##id) : 0)
static const uint64_t with_descriptors = 0
#include "reuse/notes.def"
	;

enum event_part call_args(enum call_id call)
{
	static const uint8_t parts[CALL_COUNT] = {
#define CALL(name, args, more) [CALL_##name] = PART_##args,
#define CARRIER(name) [CALL_##name] = PART_NOTHING,
#define MOMENT(name, args, more) [CALL_##name] = PART_##args,
#include "reuse/calls.def"
	};

	return (enum event_part)parts[call];
}

enum event_part call_more(enum call_id call)
{
	static const uint8_t parts[CALL_COUNT] = {
#define CALL(name, args, more) [CALL_##name] = PART_##more,
#define CARRIER(name) [CALL_##name] = PART_NOTHING,
#define MOMENT(name, args, more) [CALL_##name] = PART_##more,
#include "reuse/calls.def"
	};

	return (enum event_part)parts[call];
}

enum event_part note_holds(enum note_id note)
{
	static const uint8_t parts[NOTE_COUNT] = {
#define NOTE(id, code, holds) [NOTE_##id] = PART_##holds,
#include "reuse/notes.def"
	};

	return (enum event_part)parts[note];
}

bool event_has(const struct event *ev, enum event_part part)
{
	const enum call_id call = (enum call_id)ev->call;

	switch (part) {
	case PART_EVENT:
		return true;
	case PART_VALUE:
		return call_more(call) == PART_VALUE && ev->more.value.readable;
	case PART_HOLDERS:
		return (ev->notes & with_holders) != 0;
	case PART_DESCRIPTORS:
		return (ev->notes & with_descriptors) != 0;
	case PART_CLOSED:
		return ev->has_closed;
	case PART_TOTALS:
		return ev->has_totals;
	case PART_FIGURES:
		return (ev->notes & with_figures) || ev->figures.age_ns;
	case PART_REPEATED:
		return ev->has_repeated;
	default:
		return ev->has_args && call_args(call) == part;
	}
}

size_t event_extent(const struct event *ev)
{
	const struct option_value *value = &ev->more.value;

	if (event_has(ev, PART_FIGURES))
		return sizeof(*ev);
	if (event_has(ev, PART_HOLDERS) || event_has(ev, PART_DESCRIPTORS) || ev->has_closed ||
	    ev->has_totals)
		return offsetof(struct event, figures);
	if (ev->has_repeated)
		return offsetof(struct event, more.repeated) + sizeof(ev->more.repeated);
	if (!event_has(ev, PART_VALUE))
		return offsetof(struct event, more);
	return offsetof(struct event, more.value.bytes) +
	       (value->len < sizeof(value->bytes) ? value->len : sizeof(value->bytes));
}

uint64_t event_repeated_ns(const struct event *ev)
{
	const uint64_t end_ns = ev->began_ns + ev->dur_ns;

	return end_ns > ev->more.repeated.since_ns ? end_ns - ev->more.repeated.since_ns : 0;
}

static bool is_family(const uint8_t *at)
{
	uint16_t family;

	memcpy(&family, at, sizeof(family));
	return family == AF_INET || family == AF_INET6 || !family;
}

static bool is_notes(const uint8_t *at)
{
	uint64_t notes;

	memcpy(&notes, at, sizeof(notes));
	return notes < NOTE_BIT(NOTE_COUNT);
}

static bool is_state_set(const uint8_t *at)
{
	uint32_t states;

	memcpy(&states, at, sizeof(states));
	return states < STATE_BIT(STATE_COUNT);
}

static inline bool is_sound(enum member_kind kind, const void *member, size_t size)
{
	const uint8_t *at = member;

	switch (kind) {
	case KIND_NUMBER:
	case KIND_SIGNED:
	case KIND_BYTES:
	case KIND_TALLY:
	case KIND_STATES: /* as far as they are in use: view_is_sound */
		return true;
	case KIND_TEXT:
		return memchr(at, 0, size);
	case KIND_FLAG:
		return *at <= 1;
	case KIND_TWO_BITS:
		return *at < 4;
	case KIND_FAMILY:
		return is_family(at);
	case KIND_CALL:
		return *at < CALL_COUNT;
	case KIND_STATE:
		return *at < STATE_COUNT;
	case KIND_LENGTH:
		return *at <= VIA_MAX;
	case KIND_STATE_SET:
		return is_state_set(at);
	case KIND_NOTES:
		return is_notes(at);
	}
	return false;
}

/*
 * parts: a set of enum event_part, a bit each. The rows as code, for every line of a log is asked
 * about: of those that can have any value nothing is left.
 */
static bool parts_are_sound(const struct event *ev, unsigned int parts)
{
#define MEMBER(in, path, is)                                                                       \
	if ((parts >> PART_##in & 1) && !is_sound(KIND_##is, &ev->path, sizeof(ev->path)))         \
		return false;
#include "reuse/members.def"
	return true;
}

/* A way leads over states that are known, and a timer is one of a state that is. */
static bool view_is_sound(const struct sock_view *view)
{
	for (unsigned int i = 0; i < view->n_via; i++)
		if (view->via[i] == STATE_UNKNOWN || view->via[i] >= STATE_COUNT)
			return false;
	return !view->has_timer || view->state != STATE_UNKNOWN;
}

/* What of the union event_more an event has is what its call may have. */
static bool more_is_sound(const struct event *ev)
{
	const enum event_part may = call_more((enum call_id)ev->call);
	const struct holders *holders = &ev->more.holders;

	if (ev->has_repeated && (ev->has_closed || ev->has_totals || (ev->notes & with_holders)))
		return false; /* it stands where these do */
	if (ev->has_closed && !(may == PART_CLOSED && view_is_sound(&ev->more.closed.sock)))
		return false;
	if (ev->has_totals && may != PART_TOTALS)
		return false;
	if (((ev->notes & with_holders) && may != PART_HOLDERS) ||
	    ((ev->notes & with_descriptors) && may != PART_DESCRIPTORS))
		return false;
	/* A dying one is named by its state. */
	return !(ev->notes & NOTE_BIT(NOTE_IN_USE_DYING)) || holders->brief ||
	       holders->state != STATE_UNKNOWN;
}

bool event_is_sound(const struct event *ev)
{
	enum event_part may;
	unsigned int parts = 1u << PART_FIGURES;

	/* First what says which other parts there are. */
	if (ev->call >= CALL_COUNT || !parts_are_sound(ev, 1u << PART_EVENT))
		return false;
	may = call_more((enum call_id)ev->call);
	if (may != PART_NOTHING && (may == PART_VALUE || event_has(ev, may)))
		parts |= 1u << may;
	if (!parts_are_sound(ev, parts) || !view_is_sound(&ev->sock))
		return false;
	if (ev->has_args && call_args((enum call_id)ev->call) == PART_NOTHING)
		return false;
	return more_is_sound(ev);
}
