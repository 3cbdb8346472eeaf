/* SPDX-License-Identifier: MIT */
/*
 * fuzz_report.c - any events in any order as what a report is made of: the page stays within its
 * size, holds no markup of the input's, and each packet of the trace is whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/event_shape.h"
#include "fuzz.h"
#include "report/report_html.h"
#include "report/trace.h"

/* An event in few bytes, so that sockets meet again. */
struct few {
	uint8_t call, sock, ends, state, was, via[3], flags, error, after, dur;
	uint8_t notes[6];
	char prog[4];
};

static struct endpoint end_of(uint8_t number)
{
	struct endpoint end = {.family = number & 4 ? AF_INET6 : AF_INET,
			       .port = number & 3,
			       .addr = {127, 0, 0, 1}};

	if (number & 8)
		end.family = 0;
	return end;
}

static struct sock_view view_of(const struct few *few)
{
	struct sock_view view = {
		.cookie = few->sock & 7,
		.local = end_of(few->ends & 15),
		.peer = end_of(few->ends >> 4),
		.state = few->state,
		.was = few->was,
		.n_via = few->flags & 3,
		.has_timer = few->flags & 4,
		.timer_ms = few->flags & 4 ? UINT32_MAX >> (few->dur & 31) : 0,
		.netns = few->sock >> 6,
	};

	memcpy(view.via, few->via, sizeof(few->via));
	return view;
}

static struct input_event event_of(const struct few *few, uint64_t *now)
{
	struct input_event event = {.host = few->sock >> 3 & 1, .place = 0};
	struct event *ev = &event.ev;

	*now += few->after < 200 ? (uint64_t)few->after << (few->after & 31) : 1000;
	*now -= few->after == 200 ? 2000 : 0;
	ev->time_ns = *now;
	ev->dur_ns = (uint64_t)few->dur << (few->dur & 63);
	ev->call = few->call;
	ev->has_fd = few->flags & 8;
	ev->has_ret = few->flags & 16;
	ev->ret = ev->has_ret ? (int8_t)few->error : 0;
	ev->error = few->flags & 32 ? few->error : 0;
	ev->pid = few->sock >> 5 & 1;
	ev->has_sock = true;
	ev->sock = view_of(few);
	memcpy(&ev->notes, few->notes, sizeof(few->notes));
	memcpy(ev->prog, few->prog, sizeof(few->prog));
	memcpy(event.said, few->prog, sizeof(few->prog));
	ev->has_repeated = few->flags & 64;
	ev->more.repeated.times = ev->has_repeated ? UINT64_MAX >> (few->dur & 63) : 0;
	if (few->flags & 128) {
		ev->has_closed = true;
		ev->more.closed.sock = view_of(few);
		ev->more.closed.sock.cookie ^= 1;
	}
	return event;
}

/* A length, and so many bytes, to the end. */
static void check_trace(const unsigned char *at, size_t size)
{
	const unsigned char *const end = at + size;

	while (at < end) {
		uint64_t len = 0;
		unsigned int shift = 0;

		HOLDS(*at++ == 0x0a);
		do {
			HOLDS(at < end && shift < 64);
			len |= (uint64_t)(*at & 0x7f) << shift;
			shift += 7;
		} while (*at++ & 0x80);
		HOLDS(len <= (uint64_t)(end - at));
		at += len;
	}
}

/* What begins a tag is ours: a letter, as in "<td", and no name of the input's begins with one. */
static bool is_tag(const char *at)
{
	static const char *const tags[] = {
		"!doctype",  "html", "meta",	"title", "style",   "h1",  "h2",
		"h3",	     "p>",   "p ",	"nav",	 "a ",	    "a>",  "table",
		"tr>",	     "td>",  "th>",	"br>",	 "small",   "em>", "img alt",
		"div class", "div>", "section", "b>",	 "b class", "i>",  "u>"};

	at += at[1] == '/' ? 2 : 1;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (strncmp(at, tags[i], strlen(tags[i])) == 0)
			return true;
	return false;
}

static void check_page(const char *text, size_t size)
{
	static const char alt[] = "alt=\"", behind[] = "\" src=\"data:";

	HOLDS(size < 2000000);
	HOLDS(strlen(text) == size);
	for (size_t i = 0; i < size; i++)
		HOLDS((unsigned char)text[i] >= ' ' || text[i] == '\n');
	for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<'))
		HOLDS(is_tag(at));
	for (const char *at = strstr(text, alt); at; at = strstr(at + 1, alt)) {
		const char *end = strchr(at + strlen(alt), '"');

		HOLDS(end && strncmp(end, behind, strlen(behind)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host hosts[2] = {{.name = "<x", .len = 2}, {.name = "\"x'&", .len = 4}};
	static struct story story;
	struct report report = {.hosts = hosts, .host_count = 2};
	struct trace trace = {.report = NULL};
	char *text[2] = {NULL, NULL};
	size_t len[2] = {0, 0};
	FILE *page = open_memstream(&text[0], &len[0]), *traced = open_memstream(&text[1], &len[1]);
	uint64_t now = UINT64_C(1795539731000000000);
	struct few few;

	memset(&story, 0, sizeof(story));
	story_begin(&story);
	trace_begin(&trace, &report, traced);
	report.tally.watches[WATCH_STORY] = &story.watch;
	report.tally.watches[WATCH_TRACE] = &trace.watch;
	HOLDS(page && traced && tally_begin(&report.tally));
	for (; size >= sizeof(few); size -= sizeof(few), data += sizeof(few)) {
		struct input_event event;

		memcpy(&few, data, sizeof(few));
		event = event_of(&few, &now);
		if (event_is_sound(&event.ev))
			tally_event(&report.tally, &event);
	}
	tally_finish(&report.tally);
	HOLDS(report_html(page, &report, &story));
	fclose(page);
	fclose(traced);
	check_page(text[0], len[0]);
	check_trace((unsigned char *)text[1], len[1]);
	free(text[0]);
	free(text[1]);
	tally_end(&report.tally);
	story_end(&story);
	trace_end(&trace);
	return 0;
}
