/*
 * json.c - see json.h. jsmn marks where each value begins and ends, and lets much pass that is
 * no JSON: what is asked for is looked at again when it is asked for.
 */
#include "json.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include <stdlib.h>
#include <string.h>

#include "decimal.h"
#include "facts/out.h"

/* A line of the library's has 4096 bytes at most, two at least for each value. */
enum { TOKENS_MOST = 2048, NUMBER_MOST = 24 };

struct json {
	const char *line;
	unsigned int count;
	bool doubtful;
	jsmntok_t tokens[TOKENS_MOST];
	unsigned int behind[TOKENS_MOST]; /* the first token that is no part of this one */
};

struct json *json_make(void)
{
	return calloc(1, sizeof(struct json));
}

void json_free(struct json *json)
{
	free(json);
}

/* From the last to the first: then those within it are known. */
static void link_tokens(struct json *json)
{
	for (unsigned int i = json->count; i-- > 0;) {
		unsigned int at = i + 1;

		for (int child = 0; child < json->tokens[i].size && at < json->count; child++)
			at = json->behind[at];
		json->behind[i] = at;
	}
}

static bool is_utf8(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text, *const end = at + len;
	size_t n = 1;

	for (; at < end && n; at += n)
		n = *at < 0x80 ? 1 : utf8_len(at, (size_t)(end - at));
	return n != 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

bool json_read(struct json *json, const char *line, size_t len)
{
	jsmn_parser parser;
	int count;

	json->count = 0;
	json->doubtful = false;
	for (; len && is_blank(*line); len--)
		line++;
	while (len && is_blank(line[len - 1]))
		len--;
	json->line = line;
	if (!len || *line != '{' || !is_utf8(line, len))
		return false;
	jsmn_init(&parser);
	count = jsmn_parse(&parser, line, len, json->tokens, TOKENS_MOST);
	if (count < 1 || json->tokens[JSON_ROOT].end != (int)len)
		return false;
	json->count = (unsigned int)count;
	link_tokens(json);
	return json->behind[JSON_ROOT] == json->count;
}

static bool is(const struct json *json, json_ref value, jsmntype_t type)
{
	return json->tokens[value].type == type;
}

bool json_is_object(const struct json *json, json_ref value)
{
	return is(json, value, JSMN_OBJECT);
}

bool json_is_string(const struct json *json, json_ref value)
{
	return value && is(json, value, JSMN_STRING);
}

/* The bytes of the line that the token stands for: are they these? */
static bool says(const struct json *json, json_ref value, const char *text, size_t len)
{
	const jsmntok_t *token = &json->tokens[value];

	return (size_t)(token->end - token->start) == len &&
	       memcmp(json->line + token->start, text, len) == 0;
}

json_ref json_member(struct json *json, json_ref object, const char *key)
{
	const size_t len = strlen(key);
	json_ref found = 0;

	if (!is(json, object, JSMN_OBJECT))
		return 0;
	for (json_ref at = object + 1; at < json->behind[object]; at = json->behind[at]) {
		const jsmntok_t *token = &json->tokens[at];

		if (token->type != JSMN_STRING || token->size != 1 || !says(json, at, key, len))
			continue;
		json->doubtful |= found != 0;
		found = at + 1;
	}
	return found;
}

bool json_is_doubtful(const struct json *json)
{
	return json->doubtful;
}

json_ref json_first(const struct json *json, json_ref array)
{
	if (!array || !is(json, array, JSMN_ARRAY) || array + 1 >= json->behind[array])
		return 0;
	return array + 1;
}

json_ref json_next(const struct json *json, json_ref array, json_ref entry)
{
	return json->behind[entry] < json->behind[array] ? json->behind[entry] : 0;
}

bool json_is_true(const struct json *json, json_ref value)
{
	return value && is(json, value, JSMN_PRIMITIVE) && says(json, value, "true", 4);
}

/* The digits of a number as a string; where there is no number, an empty one. */
static bool is_negative(const struct json *json, json_ref value, char ret[NUMBER_MOST])
{
	const jsmntok_t *token = &json->tokens[value];
	const char *at = json->line + token->start;
	size_t len = (size_t)(token->end - token->start);
	bool negative;

	*ret = '\0';
	if (!value || token->type != JSMN_PRIMITIVE || len >= NUMBER_MOST)
		return false;
	negative = *at == '-';
	at += negative;
	len -= negative;
	memcpy(ret, at, len);
	ret[len] = '\0';
	return negative;
}

bool json_u64(const struct json *json, json_ref value, uint64_t most, uint64_t *ret)
{
	char digits[NUMBER_MOST];

	return !is_negative(json, value, digits) && decimal(digits, most, ret);
}

bool json_i64(const struct json *json, json_ref value, int64_t least, int64_t most, int64_t *ret)
{
	char digits[NUMBER_MOST];
	const bool negative = is_negative(json, value, digits);
	uint64_t number;

	if (!decimal(digits, negative ? -(uint64_t)least : (uint64_t)most, &number))
		return false;
	*ret = (int64_t)(negative ? -number : number);
	return true;
}

/* The four digits of \uXXXX; jsmn has seen that they are some. */
static uint32_t escaped_unit(const char *digits)
{
	const char text[] = {digits[0], digits[1], digits[2], digits[3], '\0'};

	return (uint32_t)strtoul(text, NULL, 16);
}

struct text {
	char *at, *end;
	bool good; /* until there is no room */
	bool raw;  /* U+FFFD is to be a byte that is no UTF-8 */
};

enum { NO_UTF8 = 0xff };
static const char replaced[] = "\xef\xbf\xbd";

static void put_byte(struct text *text, uint32_t byte)
{
	if (text->at < text->end)
		*text->at++ = (char)byte;
	else
		text->good = false;
}

static void put_bytes(struct text *text, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_byte(text, (unsigned char)from[i]);
}

/* In UTF-8; as for what is none, where it is a half of a pair. */
static void put_code(struct text *text, uint32_t code)
{
	if (code == 0) {
		text->good = false;
	} else if (code < 0x80) {
		put_byte(text, code);
	} else if (code < 0x800) {
		put_byte(text, 0xc0 | code >> 6);
		put_byte(text, 0x80 | (code & 0x3f));
	} else if ((code == 0xfffd && text->raw) || (code >= 0xd800 && code < 0xe000)) {
		put_byte(text, NO_UTF8);
	} else {
		put_byte(text, 0xe0 | code >> 12);
		put_byte(text, 0x80 | (code >> 6 & 0x3f));
		put_byte(text, 0x80 | (code & 0x3f));
	}
}

static void put_pair(struct text *text, uint32_t high, uint32_t low)
{
	const uint32_t code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);

	put_byte(text, 0xf0 | code >> 18);
	put_byte(text, 0x80 | (code >> 12 & 0x3f));
	put_byte(text, 0x80 | (code >> 6 & 0x3f));
	put_byte(text, 0x80 | (code & 0x3f));
}

static bool is_unit(const char *at, const char *end)
{
	return end - at >= 6 && at[0] == '\\' && at[1] == 'u';
}

/* What begins with a backslash; where it ends. */
static const char *put_escaped(struct text *text, const char *at, const char *end)
{
	static const char letters[] = "bfnrt", means[] = "\b\f\n\r\t";
	const char *letter = end - at >= 2 ? strchr(letters, at[1]) : NULL;
	uint32_t unit, low;

	if (end - at < 2) {
		text->good = false;
		return end;
	}
	if (!is_unit(at, end)) {
		put_byte(text, (unsigned char)(letter ? means[letter - letters] : at[1]));
		return at + 2;
	}
	unit = escaped_unit(at + 2);
	low = is_unit(at + 6, end) ? escaped_unit(at + 8) : 0;
	if (unit >= 0xd800 && unit < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
		put_pair(text, unit, low);
		return at + 12;
	}
	put_code(text, unit);
	return at + 6;
}

/* What stands for itself, up to what may not. */
static const char *put_plain(struct text *text, const char *at, const char *end)
{
	const char *next = at + 1;

	while (next < end && *next != '\\' && *next != *replaced)
		next++;
	put_bytes(text, at, (size_t)(next - at));
	return next;
}

static bool decode(const struct json *json, json_ref value, struct text *text)
{
	const char *at = json->line + json->tokens[value].start;
	const char *const end = json->line + json->tokens[value].end;

	if (!json_is_string(json, value))
		return false;
	while (at < end && text->good) {
		if (*at == '\\') {
			at = put_escaped(text, at, end);
		} else if (text->raw && end - at >= 3 && memcmp(at, replaced, 3) == 0) {
			put_byte(text, NO_UTF8);
			at += 3;
		} else {
			at = put_plain(text, at, end);
		}
	}
	*text->at = '\0';
	return text->good;
}

bool json_string(const struct json *json, json_ref value, char *ret, size_t size)
{
	struct text text = {.at = ret, .end = ret + size - 1, .good = true};

	return decode(json, value, &text);
}

bool json_bytes(const struct json *json, json_ref value, char *ret, size_t size)
{
	struct text text = {.at = ret, .end = ret + size - 1, .good = true, .raw = true};

	return decode(json, value, &text);
}
