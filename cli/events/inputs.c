/* SPDX-License-Identifier: MIT */
/*
 * inputs.c - see inputs.h.
 *
 * The tables of places that the renderers look into are one for all sources (cli/places.h): what an
 * event says of them is put into words before another source is read.
 */
#include "events/inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "facts/callsite.h"
#include "facts/frames.h"
#include "log/note_text.h"

enum { OPEN_AT_FIRST = 64, PLACE_SIZE = 256, PLACES_MOST = 8192 };

static uint32_t name_place(struct inputs *inputs, uint32_t stack)
{
	_Alignas(uint64_t) char name[PLACE_SIZE] = {0};
	struct out out = out_into(name, sizeof(name) - 1);
	const struct frame *frame;
	uint64_t number;
	const char *row;

	if (!stack || !callsite_frame(stack, 0, &number) || !(frame = frames_at(number)))
		return 0;
	out_frame(&out, frame);
	row = table_row(&inputs->places, name);
	return row ? (uint32_t)((size_t)(row - inputs->places.rows) / PLACE_SIZE) + 1 : 0;
}

const char *inputs_place(const struct inputs *inputs, uint32_t place)
{
	return place ? table_at(&inputs->places, place - 1) : NULL;
}

/* Notes on what the call did, not on why it failed. */
static const uint64_t others = NOTE_BIT(NOTE_REUSE_ENABLED) | NOTE_BIT(NOTE_REUSE_RESPECTED) |
			       NOTE_BIT(NOTE_BACKLOG_CUT) | NOTE_BIT(NOTE_LOST_EVENTS);

static void say_why(struct input_event *head)
{
	const struct event *ev = &head->ev;
	const uint64_t notes =
		(ev->error ? ev->notes & ~others : 0) | (ev->notes & NOTE_BIT(NOTE_BACKLOG_FULL));
	struct out out = out_into(head->said, sizeof(head->said) - 1);

	if (notes)
		out_note(&out, (enum note_id)__builtin_ctzll(notes), ev);
	*out.at = '\0';
}

/* As it stands in the file. False where there is no more. */
static bool read_one(struct inputs *inputs, struct input *input, struct input_event *ret)
{
	enum source_got got;

	do
		got = source_next(input->source, &ret->ev);
	while (got == SOURCE_PAUSE);
	inputs->failed |= got == SOURCE_FAILED;
	if (got != SOURCE_EVENT)
		return false;
	ret->ev.time_ns -= ret->ev.time_ns % 1000; /* as a log in JSON has it */
	ret->host = input->host;
	ret->place = name_place(inputs, ret->ev.stack);
	ret->closed_place = ret->ev.notes & NOTE_BIT(NOTE_DOUBLE_CLOSE)
				    ? name_place(inputs, ret->ev.figures.closed_at)
				    : 0;
	say_why(ret);
	return true;
}

/* What was read of a log is kept, the less of each the more are open; of a recorder it is sorted.
 */
static size_t window_of(const struct inputs *inputs, const struct input *input)
{
	enum { ALL_MOST = 1 << 16 };

	return input->source->kind == SOURCE_RING ? 1 : ALL_MOST / (inputs->opened + 1) + 1;
}

/* The next event of this file, in order of time. False where it has no more. */
static bool advance(struct inputs *inputs, struct input *input)
{
	struct input_event event;
	bool late = false;

	free(input->head);
	while (!input->ended && !window_is_full(&input->window, window_of(inputs, input))) {
		if (!read_one(inputs, input, &event)) {
			input->ended = true;
		} else if (!window_put(&input->window, &event)) {
			cli_say(inputs->who, "%s: %s", input->path, strerror(ENOMEM));
			inputs->failed = input->ended = true;
		}
	}
	input->head = window_take(&input->window, &late);
	inputs->late += late;
	input->next_ns = input->head ? input->head->ev.time_ns : 0;
	return input->head != NULL;
}

static off_t read_of(const struct input *input)
{
	const off_t at = lseek(input->source->fd, 0, SEEK_CUR);

	return at < 0 ? 0 : at;
}

static void shut(struct inputs *inputs, struct input *input, bool quiet)
{
	if (input->source->fd >= 0 && !quiet)
		inputs->done += read_of(input);
	input->source->quiet = quiet;
	source_close(input->source);
	source_free(input->source);
	input->source = NULL;
	free(input->head);
	input->head = NULL;
	window_end(&input->window);
}

static bool open_input(struct inputs *inputs, struct input *input, bool quiet)
{
	input->ended = false;
	input->source = source_make(inputs->who, input->path);
	if (!input->source) {
		cli_say(inputs->who, "%s: %s", input->path, strerror(errno));
		inputs->failed = true;
		return false;
	}
	input->source->quiet = quiet;
	if (source_open(input->source))
		return true;
	inputs->failed = true;
	shut(inputs, input, false);
	return false;
}

/* Its first event is its head. False where it has none. */
static bool begin(struct inputs *inputs, struct input *input)
{
	if (advance(inputs, input)) {
		input->first_ns = input->next_ns;
		return true;
	}
	inputs->failed |= input->source->kind == SOURCE_UNDECIDED || !input->source->events;
	shut(inputs, input, false);
	return false;
}

/* From when on it is to be open, by its first line; which may not be the first in time. */
static bool peek(struct inputs *inputs, struct input *input)
{
	struct input_event event;

	if (!read_one(inputs, input, &event)) {
		inputs->failed |= input->source->kind == SOURCE_UNDECIDED || !input->source->events;
		shut(inputs, input, false);
		return false;
	}
	input->first_ns = event.ev.time_ns > WINDOW_NS ? event.ev.time_ns - WINDOW_NS : 0;
	shut(inputs, input, true);
	return true;
}

/* Can it be opened once more, and is the same then? */
static bool is_plain(const struct input *input)
{
	struct stat stat;

	return input->source->fd > STDIN_FILENO && fstat(input->source->fd, &stat) == 0 &&
	       S_ISREG(stat.st_mode);
}

static int by_first(const void *a, const void *b)
{
	const uint64_t x = (*(struct input *const *)a)->first_ns;
	const uint64_t y = (*(struct input *const *)b)->first_ns;

	return (x > y) - (x < y);
}

bool inputs_begin(struct inputs *inputs, size_t count)
{
	inputs->count = count;
	inputs->places =
		(struct table){.row_size = PLACE_SIZE, .key_size = PLACE_SIZE, .most = PLACES_MOST};
	inputs->waiting = calloc(count, sizeof(*inputs->waiting));
	inputs->open = calloc(count, sizeof(*inputs->open));
	if (!inputs->waiting || !inputs->open)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct input *input = &inputs->all[i];

		if (!open_input(inputs, input, false))
			continue;
		if (inputs->opened < OPEN_AT_FIRST || !is_plain(input)) {
			if (begin(inputs, input))
				inputs->open[inputs->opened++] = input;
		} else if (peek(inputs, input)) {
			inputs->waiting[inputs->waits++] = input;
		}
	}
	qsort(inputs->waiting, inputs->waits, sizeof(*inputs->waiting), by_first);
	return true;
}

static size_t earliest(const struct inputs *inputs)
{
	size_t first = 0;

	for (size_t i = 1; i < inputs->opened; i++)
		if (inputs->open[i]->next_ns < inputs->open[first]->next_ns)
			first = i;
	return first;
}

/* Those whose time has come. */
static void open_next(struct inputs *inputs)
{
	while (inputs->began < inputs->waits) {
		struct input *next = inputs->waiting[inputs->began];

		if (inputs->opened && inputs->open[earliest(inputs)]->next_ns < next->first_ns)
			return;
		inputs->began++;
		if (open_input(inputs, next, true) && begin(inputs, next))
			inputs->open[inputs->opened++] = next;
	}
}

/* The head that was given has been used. */
static void go_on(struct inputs *inputs)
{
	struct input *input = inputs->current;

	inputs->current = NULL;
	if (!input || advance(inputs, input))
		return;
	for (size_t i = 0; i < inputs->opened; i++)
		if (inputs->open[i] == input)
			inputs->open[i] = inputs->open[--inputs->opened];
	shut(inputs, input, false);
}

const struct input_event *inputs_next(struct inputs *inputs)
{
	go_on(inputs);
	open_next(inputs);
	if (!inputs->opened)
		return NULL;
	inputs->current = inputs->open[earliest(inputs)];
	return inputs->current->head;
}

off_t inputs_read(const struct inputs *inputs)
{
	off_t sum = inputs->done;

	for (size_t i = 0; i < inputs->opened; i++)
		sum += read_of(inputs->open[i]);
	return sum;
}

void inputs_end(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->opened; i++)
		shut(inputs, inputs->open[i], true);
	inputs->opened = 0;
	free(inputs->waiting);
	free(inputs->open);
	table_end(&inputs->places);
}
