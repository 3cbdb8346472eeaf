/* SPDX-License-Identifier: MIT */
/*
 * fuzz_records.c - any bytes as a part of a flight recorder's file: nothing outside is read, and
 * what is taken for an event is one valid line of JSON.
 *
 * The first byte says how much help the input gets, so that it comes further than to the sum; a
 * record begins at each multiple of 16 after it.
 */
#include "any_event.h"
#include "events/records.h"
#include "facts/description.h"
#include "facts/ring_file.h"
#include "json_check.h"
#include "log/render.h"

enum { LONGEST = 4096, HELP_SUM = 1, HELP_SIZE = 2, HELP_EVENT = 4 };

/* What the first record lacks. Its sum is right only where its size lies within the bytes. */
static void help(uint64_t *words, size_t len, uint8_t how)
{
	struct ring_record head;
	struct event ev;
	char *event = (char *)words + sizeof(head);

	if (len < sizeof(head))
		return;
	memcpy(&head, words, sizeof(head));
	head.magic = RECORD_MAGIC;
	if (how & HELP_SIZE) {
		head.size = (uint16_t)(len / RECORD_ALIGN * RECORD_ALIGN);
		if (head.event_size > sizeof(ev))
			head.event_size = sizeof(ev);
	}
	if ((how & HELP_EVENT) && len >= sizeof(head) + sizeof(ev)) {
		memcpy(&ev, event, sizeof(ev));
		be_event(&ev);
		memcpy(event, &ev, sizeof(ev));
	}
	memcpy(words, &head, sizeof(head));
	if (head.size < sizeof(head) || head.size > len)
		return;
	head.sum = ring_record_sum(words, head.size);
	memcpy(words, &head, sizeof(head));
}

static void check_event(const struct event *ev)
{
	char line[LONGEST];
	struct out out = out_into(line, sizeof(line));

	render_json(&out, ev);
	if (!out.truncated)
		HOLDS(out.at[-1] == '\n' && json_is_one_value(line, out_len(&out) - 1));
	out = out_into(line, sizeof(line));
	render_text(&out, ev, &(struct text_style){.colored = true, .utf8 = true, .width = 80});
	out = out_into(line, sizeof(line));
	render_text(&out, ev, &(struct text_style){0});
	for (size_t i = 0; i < out_len(&out); i++)
		HOLDS((line[i] >= ' ' && line[i] < 0x7f) || line[i] == '\n');
}

static const struct ring_format *our_format(void)
{
	static struct ring_format format;

	if (!format.least)
		HOLDS(format_read(&format, ring_description()));
	return &format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t len = size ? size - 1 : 0;
	char *bytes = malloc(len + 1);

	HOLDS(bytes);
	if (len)
		memcpy(bytes, data + 1, len);
	if (size && (*data & HELP_SUM))
		help((uint64_t *)(void *)bytes, len, *data);
	bytes = realloc(bytes, len ? len : 1);
	HOLDS(bytes);
	for (size_t at = 0, taken; at < len; at += taken ? taken : RECORD_ALIGN) {
		struct event ev;

		taken = record_size(our_format(), bytes + at, len - at);
		HOLDS(taken <= len - at && taken % RECORD_ALIGN == 0);
		if (taken && record_read(our_format(), bytes + at, &ev))
			check_event(&ev);
	}
	free(bytes);
	return 0;
}
