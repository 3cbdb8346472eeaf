/* SPDX-License-Identifier: MIT */
/*
 * any_event.h - an event of any bytes. Only what has no meaning for anybody is brought into its
 * range (numbers of enums, bools), as no hook could make it.
 */
#ifndef FUZZ_ANY_EVENT_H
#define FUZZ_ANY_EVENT_H

#include <sys/socket.h>

#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "fuzz.h"
#include "reuse/event.h"

enum { MOST_NOTES = 4 };

struct any_event {
	struct event ev;
	uint8_t frames;
	struct {
		char module[FRAME_MODULE_MAX], symbol[FRAME_SYMBOL_MAX];
		uint64_t offset, symbol_offset;
	} frame;
};

static inline void be_number(void *at, size_t size, uint64_t below)
{
	uint64_t number = 0;

	memcpy(&number, at, size);
	number %= below;
	memcpy(at, &number, size);
}

static inline void be_notes(uint64_t *notes)
{
	*notes &= NOTE_BIT(NOTE_COUNT) - 1;
	while (__builtin_popcountll(*notes) > MOST_NOTES)
		*notes &= *notes - 1;
}

static inline void be_family(uint16_t *family)
{
	static const uint16_t families[] = {0, AF_INET, AF_INET6};

	*family = families[*family % 3];
}

/* One value that the member can have. */
static inline void be_member(struct event *ev, const struct event_member *member)
{
	uint8_t *at = (uint8_t *)ev + member->at;

	switch ((enum member_kind)member->kind) {
	case KIND_NUMBER:
	case KIND_SIGNED:
	case KIND_BYTES:
	case KIND_TALLY:
		return;
	case KIND_TEXT:
		at[member->size - 1] = '\0';
		return;
	case KIND_FLAG:
		be_number(at, member->size, 2);
		return;
	case KIND_TWO_BITS:
		be_number(at, member->size, 4);
		return;
	case KIND_FAMILY:
		be_family((uint16_t *)(void *)at);
		return;
	case KIND_CALL:
		be_number(at, member->size, CALL_COUNT);
		return;
	case KIND_STATE:
		be_number(at, member->size, STATE_COUNT);
		return;
	case KIND_LENGTH:
		be_number(at, member->size, VIA_MAX + 1);
		return;
	case KIND_STATES:
		/* A way leads over states that are known. */
		for (int i = 0; i < member->size; i++)
			at[i] = (uint8_t)(1 + at[i] % (STATE_COUNT - 1));
		return;
	case KIND_STATE_SET:
		be_number(at, member->size, STATE_BIT(STATE_COUNT));
		return;
	case KIND_NOTES:
		be_notes((uint64_t *)(void *)at);
		return;
	}
}

static inline void be_part(struct event *ev, enum event_part part)
{
	for (unsigned int i = 0; i < event_member_count; i++)
		if (event_members[i].part == part)
			be_member(ev, &event_members[i]);
}

/* Is it one that notes need of union event_more? */
static inline bool is_of_more(enum event_part part)
{
	return part == PART_HOLDERS || part == PART_DESCRIPTORS;
}

/* The part of the union that this call has; the others were never this event's. */
static inline void be_more(struct event *ev)
{
	const enum event_part more = call_more((enum call_id)ev->call);

	ev->has_closed &= more == PART_CLOSED;
	ev->has_totals &= more == PART_TOTALS;
	for (int note = 0; note < NOTE_COUNT; note++)
		if (is_of_more(note_holds((enum note_id)note)) &&
		    note_holds((enum note_id)note) != more)
			ev->notes &= ~NOTE_BIT(note);
	be_part(ev, more);
	ev->has_repeated &= !event_has(ev, PART_HOLDERS) && !ev->has_closed && !ev->has_totals;
	if (ev->has_repeated)
		be_part(ev, PART_REPEATED);
	if (more == PART_HOLDERS && ev->more.holders.state == STATE_UNKNOWN)
		ev->more.holders.state = STATE_TIME_WAIT;
}

static inline void be_view(struct sock_view *view)
{
	view->has_timer &= view->state != STATE_UNKNOWN;
}

static inline void be_event(struct event *ev)
{
	be_part(ev, PART_EVENT);
	be_part(ev, PART_FIGURES);
	ev->has_args &= call_args((enum call_id)ev->call) != PART_NOTHING;
	be_more(ev);
	be_view(&ev->sock);
	if (ev->has_closed)
		be_view(&ev->more.closed.sock);
}

/* The one frame. The tables are emptied before they can be full of what readers enter. */
static inline struct frame *any_frame(void)
{
	enum { ADDRESS = 4096, OFTEN = 1000 };
	static void *frames, *callsites;
	static unsigned int calls;
	struct frame *frame;

	if (!frames) {
		frames = malloc(frames_size());
		callsites = malloc(callsites_size());
		HOLDS(frames && callsites);
	}
	if (calls++ % OFTEN == 0) {
		memset(frames, 0, frames_size());
		memset(callsites, 0, callsites_size());
	}
	frames_init(frames);
	callsites_init(callsites);
	frame = frames_find(ADDRESS);
	if (!frame) {
		frame = frames_claim(ADDRESS);
		HOLDS(frame);
		frames_enter(frame, ADDRESS);
	}
	return frame;
}

/* A stack of the same frame many times, so that the line may be too short for all. */
static inline uint32_t any_stack(const struct any_event *any)
{
	struct frame *frame = any_frame();
	uint64_t numbers[CALLSITE_FRAMES];

	memcpy(frame->module, any->frame.module, sizeof(frame->module));
	memcpy(frame->symbol, any->frame.symbol, sizeof(frame->symbol));
	frame->module[sizeof(frame->module) - 1] = frame->symbol[sizeof(frame->symbol) - 1] = '\0';
	frame->offset = any->frame.offset;
	frame->symbol_offset = any->frame.symbol_offset;
	for (int i = 0; i < CALLSITE_FRAMES; i++)
		numbers[i] = frames_number(frame);
	return callsite_id(numbers, any->frames % (CALLSITE_FRAMES + 1));
}

static inline struct event any_event(const uint8_t *data, size_t size)
{
	struct any_event any = {0};

	if (size)
		memcpy(&any, data, size < sizeof(any) ? size : sizeof(any));
	be_event(&any.ev);
	any.ev.stack = any.ev.figures.closed_at = any_stack(&any);
	return any.ev;
}

#endif
