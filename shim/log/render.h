/* SPDX-License-Identifier: MIT */
/*
 * render.h - an event as text for people, as the JSON of the contract, or as an entry of the
 * journal.
 *
 * Each appends the whole line, with its newline, and never anything that is not
 * in the event; out->truncated says where the room was too little.
 */
#ifndef LOG_RENDER_H
#define LOG_RENDER_H

#include "facts/out.h"
#include "reuse/event.h"

/* For whom a text is: its reader's terminal and locale. */
struct text_style {
	bool colored;
	bool utf8;	/* else names beyond ASCII are question marks */
	uint16_t width; /* of the terminal; 0: lines are as long as they are */
};

void render_text(struct out *out, const struct event *ev, const struct text_style *style);
void render_json(struct out *out, const struct event *ev);

/* An entry of systemd's journal, with the text in it: not a line. */
void render_journal(struct out *out, const struct event *ev);

/*
 * "2026-11-24T17:02:11.042390", from CLOCK_REALTIME, in UTC. What nanoseconds in 64
 * bits can tell lies before the year 2600.
 */
void out_time(struct out *out, uint64_t time_ns);

/* "17:02:11.042390" of it */
void out_time_of_day(struct out *out, uint64_t time_ns);

#endif
