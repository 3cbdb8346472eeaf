/* SPDX-License-Identifier: MIT */
/*
 * records.c - see records.h. A right sum tells that a record is whole, not that it
 * is honest: what the renderers rely on is looked at as well (facts/event_shape.h).
 */
#include "events/records.h"

#include <string.h>

#include "events/places.h"
#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/ring_file.h"

size_t record_size(const struct ring_format *format, const void *bytes, size_t len)
{
	size_t size;

	if (len < sizeof(struct ring_record))
		return 0;
	size = ring_record_here(bytes, len, format->least);
	return size <= len ? size : 0;
}

/* As long as a failure is counted; and some more until the last record of it is written. */
#define COUNTED_NS (REPEATED_FOR_NS + UINT64_C(200000000))

struct record_key record_key(const struct ring_format *format, const void *record)
{
	struct ring_record head;
	struct record_key key;
	struct event ev;
	uint8_t repeated; /* not yet known to be a bool */

	memcpy(&head, record, sizeof(head));
	format_event(format, (const char *)record + sizeof(head), head.event_size, &ev);
	key = (struct record_key){.time_ns = ev.time_ns, .seq = ev.seq, .pid = ev.pid};
	memcpy(&repeated, &ev.has_repeated, sizeof(repeated));
	if (repeated != 1)
		return key;
	key.times = ev.more.repeated.times;
	key.since_ns = ev.more.repeated.since_ns;
	key.final_ns = ev.time_ns - event_repeated_ns(&ev) + COUNTED_NS;
	return key;
}

/* The places of a record: into the tables, and their numbers into the event. */
static bool read_places(const char *at, const char *end, struct event *ret)
{
	uint64_t stack[CALLSITE_FRAMES];
	unsigned int n = 0;
	struct ring_place place;

	while ((size_t)(end - at) >= sizeof(place)) {
		struct place_name name;
		uint64_t number;

		memcpy(&place, at, sizeof(place));
		at += sizeof(place);
		if (place.kind == PLACE_NONE)
			break;
		if (place.module_len >= FRAME_MODULE_MAX || place.symbol_len >= FRAME_SYMBOL_MAX ||
		    (size_t)(end - at) < (size_t)place.module_len + place.symbol_len)
			break;
		name = (struct place_name){.module = at,
					   .symbol = at + place.module_len,
					   .module_len = place.module_len,
					   .symbol_len = place.symbol_len};
		memcpy(&name.offset, place.offset, sizeof(name.offset));
		memcpy(&name.symbol_offset, place.symbol_offset, sizeof(name.symbol_offset));
		if (!places_enter(&name, &number))
			return false;
		at += place.module_len + place.symbol_len;
		if (place.kind == PLACE_CLOSED)
			ret->figures.closed_at = callsite_id(&number, 1);
		else if (n < CALLSITE_FRAMES)
			stack[n++] = number;
	}
	ret->stack = callsite_id(stack, n);
	return true;
}

bool record_read(const struct ring_format *format, const void *record, struct event *ret)
{
	const char *at = record;
	struct ring_record head;

	memcpy(&head, at, sizeof(head));
	format_event(format, at + sizeof(head), head.event_size, ret);
	if (!event_is_sound(ret))
		return false;
	ret->stack = ret->figures.closed_at = 0;
	at += sizeof(head) + head.event_size;
	if (head.size - sizeof(head) - head.event_size < sizeof(struct ring_place))
		return true;

	const char *end = (const char *)record + head.size;

	/* Full after some thousand places: begin anew. */
	return places_ready(false) &&
	       (read_places(at, end, ret) || (places_ready(true) && read_places(at, end, ret)));
}
