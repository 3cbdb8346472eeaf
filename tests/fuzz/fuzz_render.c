/* SPDX-License-Identifier: MIT */
/*
 * fuzz_render.c - any event, as JSON and as text: JSON is one valid line of at most 4096 bytes,
 * text has no control character but its newlines.
 */
#include "any_event.h"
#include "json_check.h"
#include "log/render.h"

enum { LONGEST = 4096 };

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
	render_text(&out, ev, &(struct text_style){0});
	HOLDS(out_len(&out) <= size);
	HOLDS(out.truncated || out.at[-1] == '\n');
	for (size_t i = 0; i < out_len(&out); i++)
		HOLDS((room[i] >= ' ' && room[i] < 0x7f) || room[i] == '\n');
	out = out_into(room, size);
	render_text(&out, ev, &(struct text_style){.colored = true, .utf8 = true, .width = 80});
	HOLDS(out_len(&out) <= size);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct event ev = any_event(data, size);

	check_json(&ev, LONGEST);
	check_json(&ev, 512);
	check_text(&ev, LONGEST);
	check_text(&ev, 64);
	return 0;
}
