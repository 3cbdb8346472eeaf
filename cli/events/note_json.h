/* SPDX-License-Identifier: MIT */
/*
 * note_json.h - log/note_keys.h the other way: the keys of a note as figures of an event.
 */
#ifndef CLI_NOTE_JSON_H
#define CLI_NOTE_JSON_H

#include "events/json.h"
#include "reuse/event.h"

/* False where a key says what has no name here: then the note can't be shown. */
bool note_read(struct json *json, json_ref object, enum note_id note, struct event *ret,
	       bool *full);

#endif
