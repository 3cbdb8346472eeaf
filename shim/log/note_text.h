/* SPDX-License-Identifier: MIT */
/*
 * note_text.h - the sentence of a note, with the event's figures in it.
 */
#ifndef LOG_NOTE_TEXT_H
#define LOG_NOTE_TEXT_H

#include "facts/out.h"
#include "reuse/event.h"

struct frame;

/* "recv_all+0x2a (server 0x13a2)", and "server 0x13a2" where the function is not known. */
void out_frame(struct out *out, const struct frame *frame);

/* Is the one that is named a connection that is its own peer? */
bool holders_to_itself(const struct holders *holders);

/*
 * The sentences of a log that is read, which tell more than the keys beside them; NULL for a note
 * that has none there. Set by tcpshim alone, for the events that it renders: then they are what
 * out_note tells.
 */
struct note_said {
	const char *text[NOTE_COUNT];
};
extern const struct note_said *note_said;

/* Plain ASCII without quotes or backslashes, so it fits text and JSON alike. */
void out_note(struct out *out, enum note_id note, const struct event *ev);

#endif
