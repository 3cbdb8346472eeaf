/*
 * any_event.h - an event of any bytes. Only what has no meaning for anybody is brought into its
 * range (numbers of enums, bools), as no hook could make it.
 */
#ifndef FUZZ_ANY_EVENT_H
#define FUZZ_ANY_EVENT_H

#include <sys/socket.h>

#include "facts/callsite.h"
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

static inline void be_state(uint8_t *state)
{
	*state = *state % STATE_COUNT;
}

static inline void be_known_state(uint8_t *state)
{
	*state = (uint8_t)(1 + *state % (STATE_COUNT - 1));
}

static inline void be_bool(bool *it)
{
	uint8_t byte;

	memcpy(&byte, it, 1);
	*it = byte & 1;
}

static inline void be_endpoint(struct endpoint *end)
{
	static const uint16_t families[] = {0, AF_INET, AF_INET6};

	end->family = families[end->family % 3];
}

static inline void be_view(struct sock_view *view)
{
	be_endpoint(&view->local);
	be_endpoint(&view->peer);
	be_state(&view->was);
	be_state(&view->state);
	view->n_via = view->n_via % (VIA_MAX + 1);
	/* A way leads over states that are known. */
	for (int i = 0; i < VIA_MAX; i++)
		be_known_state(&view->via[i]);
	be_bool(&view->has_timer);
}

static inline bool has_arguments(const struct event *ev)
{
	const uint32_t calls = CALL_BIT(CALL_socket) | CALL_BIT(CALL_listen) |
			       CALL_BIT(CALL_setsockopt) | CALL_BIT(CALL_getsockopt) |
			       CALL_BIT(CALL_shutdown) | CALL_BIT(CALL_dup2) | CALL_BIT(CALL_dup3) |
			       CALL_BIT(CALL_fcntl);

	return calls & CALL_BIT(ev->call);
}

static inline bool is_sockopt(const struct event *ev)
{
	return ev->call == CALL_setsockopt || ev->call == CALL_getsockopt;
}

/* The parts of the union that this call has; the others were never this event's. */
static inline void be_more(struct event *ev)
{
	const uint32_t in_use = NOTE_BIT(NOTE_IN_USE_LISTENER) | NOTE_BIT(NOTE_IN_USE_BOUND) |
				NOTE_BIT(NOTE_IN_USE_DYING);
	struct holders *holders = &ev->more.holders;

	ev->has_closed = ev->call == CALL_dup2 || ev->call == CALL_dup3 ? ev->has_closed : 0;
	ev->has_totals = ev->call == CALL_exit ? ev->has_totals : 0;
	if (ev->call != CALL_bind && ev->call != CALL_listen)
		ev->notes &= ~in_use;
	if (is_sockopt(ev)) {
		be_bool(&ev->more.value.readable);
	} else if (ev->has_closed) {
		be_view(&ev->more.closed.sock);
	} else if (ev->notes & in_use) {
		be_endpoint(&holders->local);
		be_endpoint(&holders->peer);
		holders->prog[sizeof(holders->prog) - 1] = '\0';
		be_known_state(&holders->state);
		be_bool(&holders->looked_up);
		be_bool(&holders->unsure);
		be_bool(&holders->had_option);
		be_bool(&holders->more);
	}
}

static inline void be_event(struct event *ev)
{
	ev->call %= CALL_COUNT;
	ev->notes &= NOTE_BIT(NOTE_COUNT) - 1;
	while (__builtin_popcount(ev->notes) > MOST_NOTES)
		ev->notes &= ev->notes - 1;
	ev->prepared %= (REUSED_ADDR | REUSED_PORT) + 1;
	be_bool(&ev->by_shim);
	be_bool(&ev->has_fd);
	be_bool(&ev->has_ret);
	be_bool(&ev->has_sock);
	be_bool(&ev->has_args);
	be_bool(&ev->figures.listened);
	be_bool(&ev->figures.retransmitted);
	be_bool(&ev->figures.wait_interrupted);
	ev->figures.closed_call %= CALL_LOGGED;
	ev->has_args = ev->has_args && has_arguments(ev);
	be_view(&ev->sock);
	be_more(ev);
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
