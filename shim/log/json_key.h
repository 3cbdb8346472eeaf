/* SPDX-License-Identifier: MIT */
/*
 * json_key.h - a key of JSON with its value, for those that make the line. Each begins
 * with a comma; a key that has nothing to say is left out by key_endpoint and key_state.
 * Most are inline, for the lengths of literals: a twentieth of an event's instructions.
 */
#ifndef LOG_JSON_KEY_H
#define LOG_JSON_KEY_H

#include "facts/endpoint.h"
#include "facts/names.h"
#include "facts/out.h"
#include "log/args.h"
#include "reuse/event.h"

struct frame;

#define QUOTE '"'

/* With its comma, so that a literal is copied in one piece. */
#define KEY(name) ",\"" name "\":"

static inline void key_i64(struct out *out, const char *key, int64_t number)
{
	out_str(out, key);
	out_i64(out, number);
}

static inline void key_u64(struct out *out, const char *key, uint64_t number)
{
	out_str(out, key);
	out_u64(out, number);
}

/* One of our own names, which there always is. */
static inline void key_name(struct out *out, const char *key, const char *name)
{
	out_str(out, key);
	out_char(out, QUOTE);
	out_str(out, name);
	out_char(out, QUOTE);
}

static inline void key_state(struct out *out, const char *key, uint8_t state)
{
	if (state != STATE_UNKNOWN)
		key_name(out, key, state_name((enum tcp_state_id)state));
}

/* A name in quotes, or a number where it has none. */
static inline void key_constant(struct out *out, const char *key, const char *name, int64_t number)
{
	out_str(out, key);
	out_constant(out, QUOTE, name, number);
}

static inline void key_endpoint(struct out *out, const char *key, const struct endpoint *end)
{
	if (!end->family)
		return;
	out_str(out, key);
	out_char(out, QUOTE);
	out_endpoint(out, end);
	out_char(out, QUOTE);
}

/* A string that may hold anything. */
void key_string(struct out *out, const char *key, const char *text, size_t len);

/* A place in the code, as an entry of "stack". */
void out_frame_object(struct out *out, const struct frame *frame);

#endif
