/* SPDX-License-Identifier: MIT */
/*
 * json.h - one line of JSON, taken apart (by jsmn). What the library writes is all that is
 * understood: an object of whole numbers, strings, true, and objects and arrays of these.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A value in the line; 0: there is none. */
typedef unsigned int json_ref;

enum { JSON_ROOT = 0 };

struct json;

/* Room to take one line after the other apart in. NULL for want of memory. */
struct json *json_make(void);
void json_free(struct json *json);

/*
 * Is the line, without its newline, one object in valid UTF-8? It is to be there as long as
 * it is asked about.
 */
bool json_read(struct json *json, const char *line, size_t len);

/*
 * A key's length, first, middle and last byte in one word, by which nearly all keys that are not
 * meant are told from it.
 */
static inline uint32_t json_mark(const char *key, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)key;

	if (!len)
		return 0;
	return (uint32_t)(len & 0xff) << 24 | (uint32_t)bytes[0] << 16 |
	       (uint32_t)bytes[len / 2] << 8 | bytes[len - 1];
}

json_ref json_find(struct json *json, json_ref object, const char *key, size_t len, uint32_t mark);

/* The value of that key; of one that stands in the source the compiler knows length and mark. */
static inline json_ref json_member(struct json *json, json_ref object, const char *key)
{
	return json_find(json, object, key, strlen(key), json_mark(key, strlen(key)));
}

/* Has a member been asked for, since json_read, that its object has twice? */
bool json_is_doubtful(const struct json *json);

/* The entries of an array, one after the other. */
json_ref json_first(const struct json *json, json_ref array);
json_ref json_next(const struct json *json, json_ref array, json_ref entry);

bool json_is_object(const struct json *json, json_ref value);
bool json_is_string(const struct json *json, json_ref value);
bool json_is_true(const struct json *json, json_ref value);

/* A number within these bounds. False where it is none: *ret is as it was. */
bool json_u64(const struct json *json, json_ref value, uint64_t most, uint64_t *ret);
bool json_i64(const struct json *json, json_ref value, int64_t least, int64_t most, int64_t *ret);

/* A string, ended by 0. False where it is none, holds a 0, or has no room. */
bool json_string(const struct json *json, json_ref value, char *ret, size_t size);

/* The same of what was bytes of any kind: U+FFFD becomes one that is no UTF-8, as it was for one.
 */
bool json_bytes(const struct json *json, json_ref value, char *ret, size_t size);

#endif
