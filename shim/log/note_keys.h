/*
 * note_keys.h - the figures of a note as keys of JSON, by notes.def.
 */
#ifndef LOG_NOTE_KEYS_H
#define LOG_NOTE_KEYS_H

#include "facts/out.h"
#include "reuse/event.h"

/* Those that have something to say, each with a comma before it. */
void out_note_keys(struct out *out, enum note_id note, const struct event *ev);

#endif
