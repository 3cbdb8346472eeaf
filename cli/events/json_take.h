/* SPDX-License-Identifier: MIT */
/*
 * json_take.h - values of an event, out of the keys that log/json_key.h makes. A key that is
 * missing, or says what has no name here, leaves *ret as it is.
 */
#ifndef CLI_JSON_TAKE_H
#define CLI_JSON_TAKE_H

#include "events/json.h"
#include "events/numbers.h"
#include "reuse/event.h"

/* Room for each name of ours, and for every address. */
enum { NAME_ROOM = 80 };

/* An unsigned number of that size. Return whether it was there. */
bool unsigned_of(const struct json *json, json_ref value, void *ret, size_t size);
bool i32_of(const struct json *json, json_ref value, int32_t *ret);

/* Milliseconds, as nanoseconds. */
bool ms_of(const struct json *json, json_ref value, uint64_t *ret_ns);

void endpoint_of(const struct json *json, json_ref value, struct endpoint *ret);

/* The state of that name; STATE_UNKNOWN where it has none here. */
uint8_t state_of(const struct json *json, json_ref value);

/* A name or, where it had none, its number. */
bool constant_of(const struct json *json, json_ref value, enum name_group group, int *ret);

/* The number of the place, as a stack has it. False where it is none, or the table is full. */
bool take_place(struct json *json, json_ref place, uint64_t *ret, bool *full);

/* The same of a key's value. */

static inline bool take_unsigned(struct json *json, json_ref object, const char *key, void *ret,
				 size_t size)
{
	return unsigned_of(json, json_member(json, object, key), ret, size);
}

static inline bool take_i32(struct json *json, json_ref object, const char *key, int32_t *ret)
{
	return i32_of(json, json_member(json, object, key), ret);
}

static inline bool take_ms(struct json *json, json_ref object, const char *key, uint64_t *ret_ns)
{
	return ms_of(json, json_member(json, object, key), ret_ns);
}

/* A text that may hold anything, ended by 0. */
static inline bool take_text(struct json *json, json_ref object, const char *key, char *ret,
			     size_t size)
{
	return json_bytes(json, json_member(json, object, key), ret, size);
}

static inline void take_endpoint(struct json *json, json_ref object, const char *key,
				 struct endpoint *ret)
{
	endpoint_of(json, json_member(json, object, key), ret);
}

static inline void take_state(struct json *json, json_ref object, const char *key, uint8_t *ret)
{
	const json_ref value = json_member(json, object, key);

	if (value)
		*ret = state_of(json, value);
}

static inline bool take_constant(struct json *json, json_ref object, const char *key,
				 enum name_group group, int *ret)
{
	return constant_of(json, json_member(json, object, key), group, ret);
}

#endif
