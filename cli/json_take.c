/*
 * json_take.c - see json_take.h.
 */
#include "json_take.h"

#include <stdlib.h>
#include <string.h>

#include "endpoint_parse.h"
#include "places.h"

bool take_unsigned(struct json *json, json_ref object, const char *key, void *ret, size_t size)
{
	const uint64_t most = UINT64_MAX >> (64 - 8 * size);
	uint64_t number;

	if (!json_u64(json, json_member(json, object, key), most, &number))
		return false;
	memcpy(ret, &number, size);
	return true;
}

bool take_i32(struct json *json, json_ref object, const char *key, int32_t *ret)
{
	int64_t number;

	if (!json_i64(json, json_member(json, object, key), INT32_MIN, INT32_MAX, &number))
		return false;
	*ret = (int32_t)number;
	return true;
}

bool take_ms(struct json *json, json_ref object, const char *key, uint64_t *ret_ns)
{
	const uint64_t ns = 1000000;
	uint64_t ms;

	if (!json_u64(json, json_member(json, object, key), UINT64_MAX / ns, &ms))
		return false;
	*ret_ns = ms * ns;
	return true;
}

bool take_text(struct json *json, json_ref object, const char *key, char *ret, size_t size)
{
	return json_bytes(json, json_member(json, object, key), ret, size);
}

void take_endpoint(struct json *json, json_ref object, const char *key, struct endpoint *ret)
{
	char text[NAME_ROOM];

	if (take_text(json, object, key, text, sizeof(text)))
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

void take_state(struct json *json, json_ref object, const char *key, uint8_t *ret)
{
	const json_ref value = json_member(json, object, key);

	if (value)
		*ret = state_of(json, value);
}

bool take_constant(struct json *json, json_ref object, const char *key, enum name_group group,
		   int *ret)
{
	char name[NAME_ROOM];

	return take_i32(json, object, key, ret) ||
	       (take_text(json, object, key, name, sizeof(name)) &&
		find_constant(group, name, ret));
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
