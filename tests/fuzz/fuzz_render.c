/*
 * fuzz_render.c - any event, as JSON and as text: JSON is one valid line of at most 4096 bytes,
 * text has no control character but its newlines.
 *
 * The bytes are the event itself. Only what has no meaning for anybody is brought into its range
 * (numbers of enums, bools), as no hook could make it.
 */
#include "facts/callsite.h"
#include "facts/frames.h"
#include "facts/shim.h"
#include "fuzz.h"
#include "json_check.h"
#include "log/render.h"

#include <sys/socket.h>

enum { LONGEST = 4096, MOST_NOTES = 4 };

struct input {
	struct event ev;
	uint8_t frames;
	struct {
		char module[FRAME_MODULE_MAX], symbol[FRAME_SYMBOL_MAX];
		uint64_t offset, symbol_offset;
	} frame;
};

static void be_state(uint8_t *state)
{
	*state = *state % STATE_COUNT;
}

static void be_bool(bool *it)
{
	uint8_t byte;

	memcpy(&byte, it, 1);
	*it = byte & 1;
}

static void be_endpoint(struct endpoint *end)
{
	static const uint16_t families[] = {0, AF_INET, AF_INET6};

	end->family = families[end->family % 3];
}

static void be_view(struct sock_view *view)
{
	be_endpoint(&view->local);
	be_endpoint(&view->peer);
	be_state(&view->was);
	be_state(&view->state);
	view->n_via = view->n_via % (VIA_MAX + 1);
	/* A way leads over states that are known. */
	for (int i = 0; i < VIA_MAX; i++)
		view->via[i] = (uint8_t)(1 + view->via[i] % (STATE_COUNT - 1));
	be_bool(&view->has_timer);
}

static bool has_arguments(const struct event *ev)
{
	const uint32_t calls = CALL_BIT(CALL_socket) | CALL_BIT(CALL_listen) |
			       CALL_BIT(CALL_setsockopt) | CALL_BIT(CALL_getsockopt) |
			       CALL_BIT(CALL_shutdown) | CALL_BIT(CALL_dup2) | CALL_BIT(CALL_dup3) |
			       CALL_BIT(CALL_fcntl);

	return calls & CALL_BIT(ev->call);
}

static bool is_sockopt(const struct event *ev)
{
	return ev->call == CALL_setsockopt || ev->call == CALL_getsockopt;
}

/* The parts of the union that this call has; the others were never this event's. */
static void be_more(struct event *ev)
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
		be_state(&holders->state);
		be_bool(&holders->looked_up);
		be_bool(&holders->unsure);
		be_bool(&holders->more);
		be_bool(&holders->had_option);
	}
}

static void be_event(struct event *ev)
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

/* A stack of the same frame many times, so that the line may be too short for all. */
static uint32_t stack_of(const struct input *input)
{
	static struct frame *frame;
	uint64_t numbers[CALLSITE_FRAMES];

	if (!frame) {
		frames_init(calloc(1, frames_size()));
		callsites_init(calloc(1, callsites_size()));
		frame = frames_claim(4096);
		HOLDS(frame);
		frames_enter(frame, 4096);
	}
	memcpy(frame->module, input->frame.module, sizeof(frame->module));
	memcpy(frame->symbol, input->frame.symbol, sizeof(frame->symbol));
	frame->module[sizeof(frame->module) - 1] = frame->symbol[sizeof(frame->symbol) - 1] = '\0';
	frame->offset = input->frame.offset;
	frame->symbol_offset = input->frame.symbol_offset;
	for (int i = 0; i < CALLSITE_FRAMES; i++)
		numbers[i] = frames_number(frame);
	return callsite_id(numbers, input->frames % (CALLSITE_FRAMES + 1));
}

/* What an event without its objects' keys would never be: a shape that scripts rely on. */
static void check_json(const struct event *ev, size_t size)
{
	char *room = malloc(size);
	struct out out = out_into(room, size);

	HOLDS(room);
	render_json(&out, ev);
	HOLDS(out_len(&out) <= size);
	if (size == LONGEST)
		HOLDS(!out.truncated);
	if (!out.truncated) {
		HOLDS(out.at[-1] == '\n');
		if (!json_is_one_value(room, out_len(&out) - 1))
			fprintf(stderr, "%.*s", (int)out_len(&out), room);
		HOLDS(json_is_one_value(room, out_len(&out) - 1));
	}
	free(room);
}

static void check_text(const struct event *ev, size_t size)
{
	char *room = malloc(size);
	struct out out = out_into(room, size);

	HOLDS(room);
	render_text(&out, ev, false);
	HOLDS(out_len(&out) <= size);
	HOLDS(out.truncated || out.at[-1] == '\n');
	for (size_t i = 0; i < out_len(&out); i++)
		HOLDS((room[i] >= ' ' && room[i] < 0x7f) || room[i] == '\n');
	out = out_into(room, size);
	render_text(&out, ev, true);
	HOLDS(out_len(&out) <= size);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {0};

	if (size)
		memcpy(&input, data, size < sizeof(input) ? size : sizeof(input));
	be_event(&input.ev);
	input.ev.stack = input.ev.figures.closed_at = stack_of(&input);
	check_json(&input.ev, LONGEST);
	check_json(&input.ev, 512);
	check_text(&input.ev, LONGEST);
	check_text(&input.ev, 64);
	return 0;
}
