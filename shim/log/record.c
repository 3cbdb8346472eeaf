/* SPDX-License-Identifier: MIT */
/*
 * record.c - see record.h. Of an event only its beginning is kept, as far as it
 * says something (facts/event_shape.h).
 */
#include "log/record.h"

#include <string.h>

#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "facts/ring_file.h"

bool record_is_long(const struct event *ev)
{
	return ev->stack != 0 || ev->figures.closed_at != 0;
}

struct room {
	char *at, *end;
};

/* False where it does not fit. */
static bool put_place(struct room *room, enum place_kind kind, const struct frame *frame)
{
	const size_t module = strnlen(frame->module, sizeof(frame->module));
	const size_t symbol = strnlen(frame->symbol, sizeof(frame->symbol));
	struct ring_place place = {
		.kind = (uint8_t)kind,
		.module_len = (uint8_t)module,
		.symbol_len = (uint8_t)symbol,
	};

	if ((size_t)(room->end - room->at) < sizeof(place) + module + symbol)
		return false;
	memcpy(place.offset, &frame->offset, sizeof(place.offset));
	memcpy(place.symbol_offset, &frame->symbol_offset, sizeof(place.symbol_offset));
	memcpy(room->at, &place, sizeof(place));
	memcpy(room->at + sizeof(place), frame->module, module);
	memcpy(room->at + sizeof(place) + module, frame->symbol, symbol);
	room->at += sizeof(place) + module + symbol;
	return true;
}

/* The first places of the stack with that number, count at most. */
static void put_places(struct room *room, enum place_kind kind, uint32_t stack, unsigned int count)
{
	uint64_t number;

	for (unsigned int i = 0; i < count && callsite_frame(stack, i, &number); i++) {
		const struct frame *frame = frames_at(number);

		if (frame && !put_place(room, kind, frame))
			return;
	}
}

uint16_t record_of(const struct event *ev, uint64_t *words, size_t size)
{
	char *start = (char *)words;
	const size_t says = event_extent(ev);
	const size_t event_size =
		(says + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
	struct room room = {.at = start + sizeof(struct ring_record), .end = start + size};
	struct ring_record head = {.magic = RECORD_MAGIC, .event_size = (uint16_t)event_size};

	memcpy(room.at, ev, event_size);
	room.at += event_size;
	if (record_is_long(ev)) {
		put_places(&room, PLACE_CLOSED, ev->figures.closed_at, 1);
		put_places(&room, PLACE_STACK, ev->stack, CALLSITE_FRAMES);
	}
	while ((room.at - start) % RECORD_ALIGN)
		*room.at++ = PLACE_NONE;
	head.size = (uint16_t)(room.at - start);
	memcpy(words, &head, sizeof(head));
	head.sum = ring_record_sum(words, head.size);
	memcpy(words, &head, sizeof(head));
	return head.size;
}
