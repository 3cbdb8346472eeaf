/* SPDX-License-Identifier: MIT */
/*
 * event_shape.h - what an event holds: which of its parts, how far it reaches, and
 * whether it can be one at all. From calls.def, notes.def and members.def.
 */
#ifndef FACTS_EVENT_SHAPE_H
#define FACTS_EVENT_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "reuse/event.h"

/* Which values a member can have. */
enum member_kind {
	KIND_NUMBER, /* any */
	KIND_SIGNED, /* any, below 0 too */
	KIND_BYTES,  /* any, an array */
	KIND_TEXT,   /* ended by 0 within its array */
	KIND_FLAG,   /* a bool */
	KIND_TWO_BITS,
	KIND_FAMILY,	/* AF_INET, AF_INET6 or 0 */
	KIND_CALL,	/* enum call_id */
	KIND_STATE,	/* enum tcp_state_id */
	KIND_LENGTH,	/* how many of the STATES */
	KIND_STATES,	/* enum tcp_state_id, none of them unknown */
	KIND_TALLY,	/* an uint32_t for each enum tcp_state_id */
	KIND_STATE_SET, /* of enum tcp_state_id, an uint32_t */
	KIND_NOTES,	/* a set of enum note_id */
};

struct event_member {
	uint16_t at, size;
	uint8_t part, kind;
};

/* Of all members, in the order of members.def. */
extern const struct event_member event_members[];
extern const unsigned int event_member_count;

/* The part of union event_args that the call's arguments are, of event_more that it may have. */
enum event_part call_args(enum call_id call);
enum event_part call_more(enum call_id call);

/* What the note needs: PART_PLAIN, PART_FIGURES, or a part of union event_more. */
enum event_part note_holds(enum note_id note);

/* Does the event have that part? */
bool event_has(const struct event *ev, enum event_part part);

/* How many bytes of its beginning hold all that it says. */
size_t event_extent(const struct event *ev);

/* How long the calls that a repeated event stands for took, from the one told before to the last.
 */
uint64_t event_repeated_ns(const struct event *ev);

/* Can a program have made it? Of an event whose bytes may be anybody's. */
bool event_is_sound(const struct event *ev);

#endif
