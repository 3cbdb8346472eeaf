/* SPDX-License-Identifier: MIT */
/*
 * fuzz_record.c - any event as the flight recorder keeps it: a whole record, and the event that is
 * read from it is shown as the first would have been.
 */
#include "any_event.h"
#include "events/records.h"
#include "facts/description.h"
#include "facts/frames.h"
#include "log/record.h"
#include "log/render.h"

enum { LONGEST = 4096 };

struct shown {
	char json[LONGEST], text[LONGEST];
	size_t json_len, text_len;
};

static void show(struct shown *ret, const struct event *ev)
{
	struct out out = out_into(ret->json, sizeof(ret->json));

	render_json(&out, ev);
	HOLDS(!out.truncated);
	ret->json_len = out_len(&out);
	out = out_into(ret->text, sizeof(ret->text));
	render_text(&out, ev, &(struct text_style){0});
	ret->text_len = out_len(&out);
}

static const struct ring_format *our_format(void)
{
	static struct ring_format format;

	if (!format.least)
		HOLDS(format_read(&format, ring_description()));
	return &format;
}

/* In rooms of its own, so that one byte too far is seen. */
static struct event through_record(const struct event *ev, size_t *ret_size)
{
	const size_t room = record_is_long(ev) ? RECORD_MOST : RECORD_SHORT;
	uint64_t *words = malloc(room);
	char *record;
	struct event read;
	size_t size;

	HOLDS(words);
	*ret_size = size = record_of(ev, words, room);
	HOLDS(size <= room && size % RECORD_ALIGN == 0);
	record = malloc(size);
	HOLDS(record);
	memcpy(record, words, size);
	free(words);
	HOLDS(record_size(our_format(), record, size) == size);
	HOLDS(record_size(our_format(), record, size - 1) == 0);
	HOLDS(record_read(our_format(), record, &read));
	free(record);
	return read;
}

/*
 * The same text. Of a stack with the longest names it may have fewer frames at its end, where the
 * record had no room for one more.
 */
static void is_as_far(const struct shown *before, const struct shown *after, size_t size)
{
	enum { LONGEST_PLACE = sizeof(struct ring_place) + FRAME_MODULE_MAX + FRAME_SYMBOL_MAX };
	const bool all = before->text_len == after->text_len;

	HOLDS(all || (after->text_len < before->text_len && size + LONGEST_PLACE > RECORD_MOST));
	HOLDS(memcmp(before->text, after->text, after->text_len - !all) == 0);
	HOLDS(all || before->text[after->text_len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shown before, after;
	const struct event ev = any_event(data, size);
	struct event read;
	size_t kept;

	show(&before, &ev);
	read = through_record(&ev, &kept);
	show(&after, &read);
	if (before.json_len != after.json_len ||
	    memcmp(before.json, after.json, after.json_len) != 0)
		fprintf(stderr, "%.*s%.*s", (int)before.json_len, before.json, (int)after.json_len,
			after.json);
	HOLDS(before.json_len == after.json_len);
	HOLDS(memcmp(before.json, after.json, after.json_len) == 0);
	is_as_far(&before, &after, kept);
	return 0;
}
