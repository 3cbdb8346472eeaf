/* SPDX-License-Identifier: MIT */
/*
 * note_keys.c - see note_keys.h. Which key is shown how, and from where in the event,
 * is told by notes.def.
 */
#include "log/note_keys.h"

#include <stddef.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/frames.h"
#include "facts/settings.h"
#include "log/json_key.h"
#include "log/note_text.h"

const note_word reset_cause_words[RESET_CAUSES] = {
	[RESET_UNREAD] = "unread",
	[RESET_LINGER] = "linger",
	[RESET_LINGER2] = "linger2",
};
const note_word dying_cause_words[DYING_CAUSES] = {
	[CAUSE_OUTGOING] = "outgoing",
	[CAUSE_EITHER] = "either",
	[CAUSE_NO_SHIM] = "no-shim",
};
const note_word refused_by_words[REFUSED_WAYS] = {
	[REFUSED_BY_RST] = "rst",
	[REFUSED_BY_ICMP] = "icmp",
};

/* The key with its comma stands in the row itself: no pointer is to be relocated at load. */
static const struct note_key {
	uint16_t at;
	uint8_t size, shown;
	char key[24];
} note_keys[] = {
#define SHOWS(id, name, how, member)                                                               \
	{                                                                                          \
		.at = offsetof(struct event, member),                                              \
		.size = sizeof(((struct event *)0)->member),                                       \
		.shown = SHOWN_##how,                                                              \
		.key = KEY(#name),                                                                 \
	},
#include "reuse/notes.def"
};

/*
 * FIRST_x: the index of the note's first row; one that has none bears that of the next.
 * BEFORE_x gives the number back, so that the row that follows has it too.
 */
enum {
#define NOTE(id, code, holds) FIRST_##id, BEFORE_##id = FIRST_##id - 1,
#define SHOWS(id, name, how, member) ROW_##id##_##name,
#include "reuse/notes.def"
	ROWS
};

static const uint8_t first_key[NOTE_COUNT + 1] = {
#define NOTE(id, code, holds) [NOTE_##id] = FIRST_##id,
#include "reuse/notes.def"
	[NOTE_COUNT] = ROWS,
};
_Static_assert(ROWS == sizeof(note_keys) / sizeof(note_keys[0]), "each note has its own rows");

static uint64_t number_at(const void *at, size_t size)
{
	uint64_t number = 0;

	memcpy(&number, at, size);
	return number;
}

static int64_t signed_at(const void *at)
{
	int32_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

static void key_only_state(struct out *out, const char *key, uint64_t states)
{
	if (states && !(states & (states - 1)))
		key_state(out, key, (uint8_t)__builtin_ctzll(states));
}

static void key_place(struct out *out, const char *key, uint32_t stack)
{
	uint64_t number;
	const struct frame *frame = NULL;

	if (callsite_frame(stack, 0, &number))
		frame = frames_at(number);
	if (!frame)
		return;
	out_str(out, key);
	out_frame_object(out, frame);
}

static void key_options(struct out *out, const char *key, uint64_t prepared)
{
	out_str(out, key);
	out_str(out, prepared & REUSED_ADDR ? "[\"SO_REUSEADDR\"" : "[");
	if (prepared == (REUSED_ADDR | REUSED_PORT))
		out_char(out, ',');
	out_str(out, prepared & REUSED_PORT ? "\"SO_REUSEPORT\"]" : "]");
}

static void key_owner(struct out *out, const struct holders *holders)
{
	if (holders->pid) {
		key_i64(out, KEY("pid"), holders->pid);
		key_string(out, KEY("prog"), holders->prog,
			   strnlen(holders->prog, sizeof(holders->prog)));
		return;
	}
	if (holders->brief && !holders->inode)
		return; /* there may be one; it was not asked for */
	key_u64(out, KEY("inode"), holders->inode);
	key_u64(out, KEY("uid"), holders->uid);
}

static void key_own_fd(struct out *out, const char *key, const struct holders *holders)
{
	if (holders->own)
		key_i64(out, key, holders->own_fd);
}

static void key_flag(struct out *out, const char *key, bool flag)
{
	if (!flag)
		return;
	out_str(out, key);
	out_str(out, "true");
}

static bool is_incomplete(const struct holders *holders)
{
	return holders->more || !holders->looked_up;
}

static void key_cause(struct out *out, const char *key, uint64_t cause)
{
	key_constant(out, key, cause < RESET_CAUSES ? reset_cause_words[cause] : NULL,
		     (int64_t)cause);
}

static void key_dying_cause(struct out *out, const char *key, uint64_t cause)
{
	if (cause != CAUSE_UNKNOWN)
		key_name(out, key, dying_cause_words[cause]);
}

static void key_refused_by(struct out *out, const char *key, uint64_t by)
{
	if (refused_by_words[by][0])
		key_name(out, key, refused_by_words[by]);
}

static void out_key(struct out *out, const struct note_key *row, const struct event *ev)
{
	const void *at = (const char *)ev + row->at;
	const struct endpoint *end = at;
	const uint64_t number = row->size <= sizeof(number) ? number_at(at, row->size) : 0;

	switch ((enum shown)row->shown) {
	case SHOWN_NUMBER:
		key_u64(out, row->key, number);
		return;
	case SHOWN_SIGNED:
		key_i64(out, row->key, signed_at(at));
		return;
	case SHOWN_COUNT:
		if (number)
			key_u64(out, row->key, number);
		return;
	case SHOWN_FLAG:
		key_flag(out, row->key, number);
		return;
	case SHOWN_MS_OF_NS:
		key_u64(out, row->key, number / 1000000);
		return;
	case SHOWN_PEER:
		if (end->port)
			key_endpoint(out, row->key, end);
		return;
	case SHOWN_TRIED:
		if (!ev->figures.earlier)
			key_endpoint(out, row->key, end);
		return;
	case SHOWN_ADDRESS:
		key_endpoint(out, row->key, end);
		return;
	case SHOWN_CALL:
		key_name(out, row->key, call_name((enum call_id)number));
		return;
	case SHOWN_STATE:
		key_state(out, row->key, (uint8_t)number);
		return;
	case SHOWN_ONLY_STATE:
		key_only_state(out, row->key, number);
		return;
	case SHOWN_PLACE:
		key_place(out, row->key, (uint32_t)number);
		return;
	case SHOWN_MODE:
		key_name(out, row->key, reuse_words[number]);
		return;
	case SHOWN_OPTIONS:
		key_options(out, row->key, number);
		return;
	case SHOWN_RESET_CAUSE:
		key_cause(out, row->key, number);
		return;
	case SHOWN_REFUSED_BY:
		key_refused_by(out, row->key, number);
		return;
	case SHOWN_DYING_CAUSE:
		key_dying_cause(out, row->key, number);
		return;
	case SHOWN_OWNER:
		key_owner(out, at);
		return;
	case SHOWN_INCOMPLETE:
		key_flag(out, row->key, is_incomplete(at));
		return;
	case SHOWN_OWN_FD:
		key_own_fd(out, row->key, at);
		return;
	case SHOWN_TO_ITSELF:
		key_flag(out, row->key, holders_to_itself(at));
		return;
	}
}

void out_note_keys(struct out *out, enum note_id note, const struct event *ev)
{
	for (unsigned int i = first_key[note]; i < first_key[note + 1]; i++)
		out_key(out, &note_keys[i], ev);
}
