/* SPDX-License-Identifier: MIT */
/*
 * event_json.h - log/json.c the other way: a line of JSON as the event that it was made from.
 */
#ifndef CLI_EVENT_JSON_H
#define CLI_EVENT_JSON_H

#include "events/json.h"
#include "log/note_text.h"
#include "reuse/event.h"

/* The library's own lines have 4096 bytes; who carries them may add to them. */
enum { EVENT_LINE_MOST = 65536 };

struct event_json {
	struct json *json;
	struct note_said said;
	char second[20]; /* of the last line's time; and that in seconds since 1970 */
	uint64_t seconds;
	char texts[EVENT_LINE_MOST];
};

enum event_line {
	LINE_EVENT,
	LINE_UNKNOWN, /* an event, of another version or of a call that this build does not know */
	LINE_OTHER,   /* none */
};

/* False for want of memory. Free it in any case. */
bool event_json_begin(struct event_json *reader);
void event_json_end(struct event_json *reader);

/*
 * A line without its newline, of EVENT_LINE_MOST bytes at most. Keys that this build does not know
 * are passed over; what they leave out is not known of the event. The places that it names, and
 * the sentences of its notes, are known to the renderers until the next call.
 */
enum event_line event_json_read(struct event_json *reader, const char *line, size_t len,
				struct event *ret);

#endif
