/* SPDX-License-Identifier: MIT */
/*
 * json_take.c - see json_take.h.
 */
#include "events/json_take.h"

#include <stdlib.h>
#include <string.h>

#include "events/endpoint_parse.h"
#include "events/places.h"

bool unsigned_of(const struct json *json, json_ref value, void *ret, size_t size)
{
	const uint64_t most = UINT64_MAX >> (64 - 8 * size);
	uint64_t number;

	if (!json_u64(json, value, most, &number))
		return false;
	memcpy(ret, &number, size);
	return true;
}

bool i32_of(const struct json *json, json_ref value, int32_t *ret)
{
	int64_t number;

	if (!json_i64(json, value, INT32_MIN, INT32_MAX, &number))
		return false;
	*ret = (int32_t)number;
	return true;
}

bool ms_of(const struct json *json, json_ref value, uint64_t *ret_ns)
{
	const uint64_t ns = 1000000;
	uint64_t ms;

	if (!json_u64(json, value, UINT64_MAX / ns, &ms))
		return false;
	*ret_ns = ms * ns;
	return true;
}

void endpoint_of(const struct json *json, json_ref value, struct endpoint *ret)
{
	char text[NAME_ROOM];

	if (json_bytes(json, value, text, sizeof(text)))
		endpoint_parse(text, ret);
}

uint8_t state_of(const struct json *json, json_ref value)
{
	char name[NAME_ROOM];
	int state = STATE_COUNT;

	if (json_string(json, value, name, sizeof(name)))
		state = find_state(name);
	return state < STATE_COUNT ? (uint8_t)state : STATE_UNKNOWN;
}

bool constant_of(const struct json *json, json_ref value, enum name_group group, int *ret)
{
	char name[NAME_ROOM];

	return i32_of(json, value, ret) ||
	       (json_bytes(json, value, name, sizeof(name)) && find_constant(group, name, ret));
}

/* "0x2a"; 0 where it is none. */
static uint64_t hexadecimal(const char *text)
{
	return strncmp(text, "0x", 2) == 0 ? strtoull(text, NULL, 16) : 0;
}

bool take_place(struct json *json, json_ref place, uint64_t *ret, bool *full)
{
	char module[FRAME_MODULE_MAX], symbol[FRAME_SYMBOL_MAX] = "", offset[NAME_ROOM];
	struct place_name name = {.module = module, .symbol = symbol};

	if (!take_text(json, place, "module", module, sizeof(module)) ||
	    !take_text(json, place, "offset", offset, sizeof(offset)))
		return false;
	take_text(json, place, "symbol", symbol, sizeof(symbol));
	take_unsigned(json, place, "symoff", &name.symbol_offset, sizeof(name.symbol_offset));
	name.module_len = strlen(module);
	name.symbol_len = strlen(symbol);
	name.offset = hexadecimal(offset);
	*full |= !places_enter(&name, ret);
	return !*full;
}
