/* SPDX-License-Identifier: MIT */
/*
 * window.c - see window.h. Nearly all lines come in order: what does not is moved forward from the
 * end.
 */
#include "events/window.h"

#include <stdlib.h>
#include <string.h>

static struct input_event **at(const struct window *window, size_t i)
{
	return &window->events[(window->first + i) % WINDOW_MOST];
}

static uint64_t time_at(const struct window *window, size_t i)
{
	return (*at(window, i))->ev.time_ns;
}

bool window_put(struct window *window, const struct input_event *event)
{
	const size_t size =
		offsetof(struct input_event, said) + strnlen(event->said, sizeof(event->said) - 1);
	struct input_event *copy = malloc(size + 1);
	size_t i = window->count;

	if (!window->events)
		window->events = calloc(WINDOW_MOST, sizeof(struct input_event *));
	if (!copy || !window->events || window->count == WINDOW_MOST) {
		free(copy);
		return false;
	}
	memcpy(copy, event, size);
	((char *)copy)[size] = '\0';
	for (; i && time_at(window, i - 1) > event->ev.time_ns; i--)
		*at(window, i) = *at(window, i - 1);
	*at(window, i) = copy;
	window->count++;
	return true;
}

bool window_is_full(const struct window *window, size_t most)
{
	return window->count >= most || window->count >= WINDOW_MOST ||
	       (window->count &&
		time_at(window, window->count - 1) - time_at(window, 0) >= WINDOW_NS);
}

struct input_event *window_take(struct window *window, bool *ret_late)
{
	struct input_event *event;

	if (!window->count)
		return NULL;
	event = *at(window, 0);
	window->first = (window->first + 1) % WINDOW_MOST;
	window->count--;
	*ret_late = event->ev.time_ns < window->given_ns;
	if (!*ret_late)
		window->given_ns = event->ev.time_ns;
	return event;
}

void window_end(struct window *window)
{
	while (window->count)
		free(*at(window, --window->count));
	free(window->events);
	*window = (struct window){0};
}
