/*
 * records.c - see records.h. A right sum tells that a record is whole, not that it
 * is honest: what the renderers rely on is looked at as well (facts/event_shape.h).
 */
#include "records.h"

#include <stdlib.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "facts/ring_file.h"
#include "facts/sum.h"

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

	memcpy(&head, record, sizeof(head));
	format_event(format, (const char *)record + sizeof(head), head.event_size, &ev);
	key = (struct record_key){.time_ns = ev.time_ns, .seq = ev.seq, .pid = ev.pid};
	if (!event_has(&ev, PART_REPEATED))
		return key;
	key.times = ev.more.repeated.times;
	key.since_ns = ev.more.repeated.since_ns;
	key.final_ns = ev.time_ns - event_repeated_ns(&ev) + COUNTED_NS;
	return key;
}

/* The renderers look places up in tables, which here hold those of the records. */
static bool tables_ready(bool anew)
{
	static void *frames, *callsites;

	if (!frames) {
		frames = calloc(1, frames_size());
		callsites = calloc(1, callsites_size());
		if (!frames || !callsites)
			return false;
		frames_init(frames);
		callsites_init(callsites);
	} else if (anew) {
		memset(frames, 0, frames_size());
		memset(callsites, 0, callsites_size());
	}
	return true;
}

/* A place by what it is called, in the stead of its address in a process that has gone. */
static struct frame *enter(const struct ring_place *place, const char *names)
{
	uint64_t words[2 + (FRAME_MODULE_MAX + FRAME_SYMBOL_MAX) / sizeof(uint64_t)] = {0};
	uint64_t address;
	struct frame *frame;

	memcpy(words, place->offset, sizeof(place->offset));
	memcpy(words + 1, place->symbol_offset, sizeof(place->symbol_offset));
	memcpy(words + 2, names, (size_t)place->module_len + place->symbol_len);
	address = sum_words(SUM_BEGIN + place->module_len, words, sizeof(words) / sizeof(words[0]));
	frame = frames_find(address);
	if (frame)
		return frame;
	frame = frames_claim(address);
	if (!frame)
		return NULL;
	memcpy(frame->module, names, place->module_len);
	memcpy(frame->symbol, names + place->module_len, place->symbol_len);
	memcpy(&frame->offset, place->offset, sizeof(place->offset));
	memcpy(&frame->symbol_offset, place->symbol_offset, sizeof(place->symbol_offset));
	frames_enter(frame, address);
	return frame;
}

/* The places of a record: into the tables, and their numbers into the event. */
static bool read_places(const char *at, const char *end, struct event *ret)
{
	uint64_t stack[CALLSITE_FRAMES];
	unsigned int n = 0;
	struct ring_place place;

	while ((size_t)(end - at) >= sizeof(place)) {
		struct frame *frame;
		uint64_t number;

		memcpy(&place, at, sizeof(place));
		at += sizeof(place);
		if (place.kind == PLACE_NONE)
			break;
		if (place.module_len >= FRAME_MODULE_MAX || place.symbol_len >= FRAME_SYMBOL_MAX ||
		    (size_t)(end - at) < (size_t)place.module_len + place.symbol_len)
			break;
		frame = enter(&place, at);
		if (!frame)
			return false;
		at += place.module_len + place.symbol_len;
		number = frames_number(frame);
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
	return tables_ready(false) &&
	       (read_places(at, end, ret) || (tables_ready(true) && read_places(at, end, ret)));
}
