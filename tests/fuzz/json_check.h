/* SPDX-License-Identifier: MIT */
/*
 * json_check.h - is this text one JSON value (RFC 8259), in valid UTF-8? Written apart from what
 * it judges.
 */
#ifndef FUZZ_JSON_CHECK_H
#define FUZZ_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct json_text {
	const unsigned char *at, *end;
	int depth;
};

static inline bool json_take(struct json_text *json, char c)
{
	if (json->at == json->end || *json->at != (unsigned char)c)
		return false;
	json->at++;
	return true;
}

static inline bool json_word(struct json_text *json, const char *word)
{
	while (*word)
		if (!json_take(json, *word++))
			return false;
	return true;
}

/* One character of UTF-8 by its code point: no overlong form, no surrogate. */
static inline bool json_character(struct json_text *json)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char first = *json->at++;
	const int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	uint32_t code = more == 0 ? first : first & (0x3fu >> more);

	if ((first >= 0x80 && first < 0xc0) || first >= 0xf8)
		return false;
	for (int i = 0; i < more; i++) {
		if (json->at == json->end || (*json->at & 0xc0) != 0x80)
			return false;
		code = code << 6 | (*json->at++ & 0x3f);
	}
	return code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static inline bool json_quoted(struct json_text *json)
{
	if (!json_take(json, '"'))
		return false;
	while (json->at < json->end && *json->at != '"') {
		if (*json->at < 0x20 || *json->at == 0x7f)
			return false;
		if (json_take(json, '\\')) {
			if (json->at == json->end)
				return false;
			if (*json->at == 'u') {
				if (json->end - json->at < 5)
					return false;
				for (int i = 1; i < 5; i++)
					if (!strchr("0123456789abcdefABCDEF", json->at[i]) ||
					    !json->at[i])
						return false;
				json->at += 5;
			} else if (!*json->at || !strchr("\"\\/bfnrt", *json->at++)) {
				return false;
			}
		} else if (!json_character(json)) {
			return false;
		}
	}
	return json_take(json, '"');
}

/* Whole numbers are all that the shim writes. */
static inline bool json_number(struct json_text *json)
{
	const unsigned char *first;

	json_take(json, '-');
	first = json->at;
	while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
		json->at++;
	return json->at > first && (*first != '0' || json->at == first + 1);
}

static inline bool json_value(struct json_text *json);

static inline bool json_list(struct json_text *json, char close, bool keyed)
{
	bool good = true;

	if (json_take(json, close))
		return true;
	do {
		if (keyed)
			good = json_quoted(json) && json_take(json, ':');
		good = good && json_value(json);
	} while (good && json_take(json, ','));
	return good && json_take(json, close);
}

static inline bool json_value(struct json_text *json)
{
	bool good = false;

	if (json->at == json->end || ++json->depth > 16)
		return false;
	switch (*json->at) {
	case '{':
		json->at++;
		good = json_list(json, '}', true);
		break;
	case '[':
		json->at++;
		good = json_list(json, ']', false);
		break;
	case '"':
		good = json_quoted(json);
		break;
	case 't':
		good = json_word(json, "true");
		break;
	case 'f':
		good = json_word(json, "false");
		break;
	default:
		good = json_number(json);
	}
	json->depth--;
	return good;
}

static inline bool json_is_one_value(const char *text, size_t len)
{
	struct json_text json = {.at = (const unsigned char *)text,
				 .end = (const unsigned char *)text + len};

	return json_value(&json) && json.at == json.end;
}

#endif
