/* SPDX-License-Identifier: MIT */
/*
 * note_json.c - see note_json.h. What each key is, and where in the event, is told by notes.def.
 */
#include "events/note_json.h"

#include <string.h>

#include "events/json_take.h"
#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/settings.h"
#include "log/note_keys.h"

struct note_key {
	uint16_t at;
	uint8_t note, size, shown;
	char key[20];
};

static const struct note_key note_keys[] = {
#define SHOWS(id, name, how, member)                                                               \
	{                                                                                          \
		.at = offsetof(struct event, member),                                              \
		.note = NOTE_##id,                                                                 \
		.size = sizeof(((struct event *)0)->member),                                       \
		.shown = SHOWN_##how,                                                              \
		.key = #name,                                                                      \
	},
#include "reuse/notes.def"
};

/* The note that is being read, and one of its keys. */
struct reading {
	struct json *json;
	json_ref object;
	const char *key;
	bool *full;
};

static bool take_call(const struct reading *reading, uint8_t *ret)
{
	char name[NAME_ROOM];
	int call;

	if (!take_text(reading->json, reading->object, reading->key, name, sizeof(name)))
		return true;
	call = find_call(name);
	*ret = call < CALL_COUNT ? (uint8_t)call : 0;
	return call < CALL_COUNT;
}

/* One of so many words. */
static bool take_word(const struct reading *reading, const note_word *words, uint8_t count,
		      uint8_t *ret)
{
	char word[NAME_ROOM];

	if (!take_text(reading->json, reading->object, reading->key, word, sizeof(word))) {
		take_unsigned(reading->json, reading->object, reading->key, ret, sizeof(*ret));
		return true;
	}
	for (uint8_t i = 0; i < count; i++)
		if (*words[i] && strcmp(words[i], word) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool take_mode(const struct reading *reading, uint8_t *ret)
{
	char word[NAME_ROOM];

	if (!take_text(reading->json, reading->object, reading->key, word, sizeof(word)))
		return true;
	for (uint8_t i = 0; reuse_words[i]; i++)
		if (strcmp(reuse_words[i], word) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool take_options(const struct reading *reading, uint8_t *ret)
{
	struct json *json = reading->json;
	const json_ref array = json_member(json, reading->object, reading->key);
	char name[NAME_ROOM];

	for (json_ref at = json_first(json, array); at; at = json_next(json, array, at)) {
		if (!json_string(json, at, name, sizeof(name)))
			return false;
		if (strcmp(name, "SO_REUSEADDR") == 0)
			*ret |= REUSED_ADDR;
		else if (strcmp(name, "SO_REUSEPORT") == 0)
			*ret |= REUSED_PORT;
		else
			return false;
	}
	return true;
}

static void take_only_state(const struct reading *reading, uint32_t *ret)
{
	uint8_t state = STATE_UNKNOWN;

	take_state(reading->json, reading->object, reading->key, &state);
	if (state != STATE_UNKNOWN)
		*ret = STATE_BIT(state);
}

static void take_nearest(const struct reading *reading, uint32_t *ret)
{
	uint64_t number;

	if (take_place(reading->json, json_member(reading->json, reading->object, reading->key),
		       &number, reading->full))
		*ret = callsite_id(&number, 1);
}

/* Where there is no word of it, nobody was looked for. */
static void take_owner(const struct reading *reading, struct holders *ret)
{
	struct json *json = reading->json;
	const json_ref object = reading->object;

	if (take_i32(json, object, "pid", &ret->pid)) {
		take_text(json, object, "prog", ret->prog, sizeof(ret->prog));
		return;
	}
	ret->brief = !take_unsigned(json, object, "inode", &ret->inode, sizeof(ret->inode));
	take_unsigned(json, object, "uid", &ret->uid, sizeof(ret->uid));
}

static bool take_key(const struct reading *reading, const struct note_key *row, void *at)
{
	struct json *json = reading->json;
	const json_ref object = reading->object;
	const bool flag = json_is_true(json, json_member(json, object, row->key));
	struct holders *holders = at;

	switch ((enum shown)row->shown) {
	case SHOWN_NUMBER:
	case SHOWN_COUNT:
		take_unsigned(json, object, row->key, at, row->size);
		return true;
	case SHOWN_SIGNED:
		take_i32(json, object, row->key, at);
		return true;
	case SHOWN_FLAG:
		*(bool *)at = flag;
		return true;
	case SHOWN_MS_OF_NS:
		take_ms(json, object, row->key, at);
		return true;
	case SHOWN_ADDRESS:
	case SHOWN_PEER:
	case SHOWN_TRIED:
		take_endpoint(json, object, row->key, at);
		return true;
	case SHOWN_CALL:
		return take_call(reading, at);
	case SHOWN_STATE:
		take_state(json, object, row->key, at);
		return true;
	case SHOWN_ONLY_STATE:
		take_only_state(reading, at);
		return true;
	case SHOWN_PLACE:
		take_nearest(reading, at);
		return true;
	case SHOWN_MODE:
		return take_mode(reading, at);
	case SHOWN_OPTIONS:
		return take_options(reading, at);
	case SHOWN_RESET_CAUSE:
		return take_word(reading, reset_cause_words, RESET_CAUSES, at);
	case SHOWN_REFUSED_BY:
		return take_word(reading, refused_by_words, REFUSED_WAYS, at);
	case SHOWN_DYING_CAUSE:
		return take_word(reading, dying_cause_words, DYING_CAUSES, at);
	case SHOWN_OWNER:
		take_owner(reading, at);
		return true;
	case SHOWN_INCOMPLETE:
		holders->looked_up = !flag;
		return true;
	case SHOWN_OWN_FD:
		holders->own = take_i32(json, object, row->key, &holders->own_fd);
		return true;
	case SHOWN_TO_ITSELF:
		return true; /* the two addresses tell it */
	}
	return false;
}

bool note_read(struct json *json, json_ref object, enum note_id note, struct event *ret, bool *full)
{
	struct holders *holders = &ret->more.holders;
	bool known = true;

	for (size_t i = 0; i < sizeof(note_keys) / sizeof(note_keys[0]); i++) {
		const struct note_key *row = &note_keys[i];
		const struct reading reading = {json, object, row->key, full};

		if (row->note == note)
			known &= take_key(&reading, row, (char *)ret + row->at);
	}
	/*
	 * The state of the one that is named is told where it is the only one. Where it is not, no
	 * sentence tells it.
	 */
	if (note == NOTE_IN_USE_DYING)
		holders->state = holders->dying_in ? (uint8_t)__builtin_ctz(holders->dying_in)
						   : STATE_TIME_WAIT;
	return known;
}
