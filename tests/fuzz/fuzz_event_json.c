/* SPDX-License-Identifier: MIT */
/*
 * fuzz_event_json.c - any bytes as a line of a log: what is taken for an event is one that a
 * program can have made. What is shown of it, read once more, is the same.
 *
 * With an odd first byte the line is one that the library makes, of an event of any bytes, so that
 * each key is met; what follows the event is put into it somewhere.
 */
#include "any_event.h"
#include "events/event_json.h"
#include "json_check.h"
#include "log/render.h"

enum { LONGEST = 4096, MADE = 1, CHANGED = 2 };

static struct event_json reader;

/* What it shows; 0 where it has no room. */
static size_t show(const struct event *ev, char line[LONGEST])
{
	struct out out = out_into(line, LONGEST);

	render_json(&out, ev);
	return out.truncated ? 0 : out_len(&out);
}

static void check_text(const struct event *ev)
{
	char line[LONGEST];
	struct out out = out_into(line, sizeof(line));

	render_text(&out, ev, &(struct text_style){.colored = true, .utf8 = true, .width = 80});
	out = out_into(line, sizeof(line));
	render_text(&out, ev, &(struct text_style){0});
	for (size_t i = 0; i < out_len(&out); i++)
		HOLDS((line[i] >= ' ' && line[i] < 0x7f) || line[i] == '\n');
}

/* Return whether it was an event, and one that a line has room for. */
static bool check_line(const char *text, size_t len, char shown[LONGEST], size_t *ret_len)
{
	/* In a room of its own, so that one byte too far is seen. */
	char *line = malloc(len ? len : 1);
	struct event ev;
	bool is_event;

	HOLDS(line);
	if (len)
		memcpy(line, text, len);
	is_event = event_json_read(&reader, line, len, &ev) == LINE_EVENT;
	*ret_len = 0;
	if (is_event) {
		HOLDS(event_is_sound(&ev));
		check_text(&ev);
		*ret_len = show(&ev, shown);
	}
	free(line);
	if (*ret_len)
		HOLDS(shown[*ret_len - 1] == '\n' && json_is_one_value(shown, *ret_len - 1));
	return *ret_len != 0;
}

/* A line of ours, with some bytes written over. */
static size_t make_line(const uint8_t *data, size_t size, char line[LONGEST])
{
	const struct event ev = any_event(data + 1, size - 1);
	const size_t len = show(&ev, line), rest = sizeof(struct any_event) + 1;

	if (len && (*data & CHANGED) && size > rest + 3) {
		const size_t at = (data[rest] | (size_t)data[rest + 1] << 8) % len;
		const size_t most = size - rest - 2 < len - at ? size - rest - 2 : len - at;

		memcpy(line + at, data + rest + 2, most);
	}
	return len ? len - 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[LONGEST], second[LONGEST];
	size_t len, again;

	if (!size)
		return 0;
	HOLDS(reader.json || event_json_begin(&reader));
	note_said = NULL;
	if (!(*data & MADE)) {
		if (!check_line((const char *)data + 1, size - 1, first, &len))
			return 0;
	} else {
		len = make_line(data, size, second);
		HOLDS(check_line(second, len, first, &again) || !len || (*data & CHANGED));
		if (!again)
			return 0;
		HOLDS((*data & CHANGED) || (again == len + 1 && memcmp(first, second, len) == 0));
		len = again;
	}
	/* A line that the library has made comes back the same. */
	HOLDS(check_line(first, len - 1, second, &again));
	HOLDS(again == len && memcmp(first, second, len) == 0);
	return 0;
}
