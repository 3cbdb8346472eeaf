/*
 * json_take.h - values of an event, out of the keys that log/json_key.h makes. A key that is
 * missing, or says what has no name here, leaves *ret as it is.
 */
#ifndef CLI_JSON_TAKE_H
#define CLI_JSON_TAKE_H

#include "json.h"
#include "numbers.h"
#include "reuse/event.h"

/* Room for each name of ours, and for every address. */
enum { NAME_ROOM = 80 };

/* An unsigned number of that size. Return whether it was there. */
bool take_unsigned(struct json *json, json_ref object, const char *key, void *ret, size_t size);
bool take_i32(struct json *json, json_ref object, const char *key, int32_t *ret);

/* Milliseconds, as nanoseconds. */
bool take_ms(struct json *json, json_ref object, const char *key, uint64_t *ret_ns);

/* A text that may hold anything, ended by 0. */
bool take_text(struct json *json, json_ref object, const char *key, char *ret, size_t size);

void take_endpoint(struct json *json, json_ref object, const char *key, struct endpoint *ret);

/* The state of that name; STATE_UNKNOWN where it has none here. */
uint8_t state_of(const struct json *json, json_ref value);
void take_state(struct json *json, json_ref object, const char *key, uint8_t *ret);

/* A name or, where it had none, its number. */
bool take_constant(struct json *json, json_ref object, const char *key, enum name_group group,
		   int *ret);

/* The number of the place, as a stack has it. False where it is none, or the table is full. */
bool take_place(struct json *json, json_ref place, uint64_t *ret, bool *full);

#endif
