/* SPDX-License-Identifier: MIT */
/*
 * json.c - see json.h. jsmn marks where each value begins and ends, and lets much pass that is
 * no JSON: what is asked for is looked at again when it is asked for.
 */
#include "events/json.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include <stdlib.h>
#include <string.h>

#include "events/decimal.h"
#include "facts/out.h"

/* A line of the library's has 4096 bytes at most, two at least for each value. */
enum { TOKENS_MOST = 2048 };

/* A power of two; and of so many keys no more than half are taken. */
enum { SLOTS = 128, LISTED_MOST = SLOTS / 2 };

struct json {
	const char *line;
	unsigned int count;
	bool doubtful;
	bool listed; /* all keys of the line's own object are in slots */
	jsmntok_t tokens[TOKENS_MOST];
	/*
	 * Where the keys of the line's own object are, by their marks: most that is asked for is
	 * one of these. at 0: nowhere.
	 */
	struct slot {
		uint32_t mark, at;
	} slots[SLOTS];
};

struct json *json_make(void)
{
	return calloc(1, sizeof(struct json));
}

void json_free(struct json *json)
{
	free(json);
}

static bool is_key_of(const struct json *json, json_ref at, json_ref object)
{
	const jsmntok_t *token = &json->tokens[at];

	return token->parent == (int)object && token->type == JSMN_STRING && token->size == 1;
}

static size_t slot_of(uint32_t mark)
{
	return mark * UINT32_C(0x9e3779b1) >> 25;
}
_Static_assert(SLOTS == 1 << 7, "as many as slot_of tells apart");

static void list(struct json *json, json_ref at)
{
	const jsmntok_t *key = &json->tokens[at];
	const uint32_t mark = json_mark(json->line + key->start, (size_t)(key->end - key->start));
	size_t slot = slot_of(mark);

	while (json->slots[slot].at)
		slot = (slot + 1) % SLOTS;
	json->slots[slot] = (struct slot){mark, at};
}

/* jsmn takes what follows a value for a part of it ("[1]:2"): only a key has one behind it. */
static bool is_part(const struct json *json, const jsmntok_t *token)
{
	const jsmntok_t *whole = &json->tokens[token->parent];

	if (whole->type == JSMN_STRING)
		return json->tokens[whole->parent].type == JSMN_OBJECT;
	return token->start < whole->end;
}

/*
 * One that has more keys than any of ours is looked through key by key. False where it is not one
 * of JSON.
 */
static bool list_root(struct json *json)
{
	unsigned int count = 0;

	memset(json->slots, 0, sizeof(json->slots));
	for (unsigned int at = 1; at < json->count; at++) {
		if (!is_part(json, &json->tokens[at]))
			return false;
		if (is_key_of(json, at, JSON_ROOT) && ++count <= LISTED_MOST)
			list(json, at);
	}
	json->listed = count <= LISTED_MOST;
	return true;
}

/* So many bytes are ASCII, at least. */
static size_t ascii_run(const char *text, size_t len)
{
	static const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t word;
	size_t n = 0;

	for (; n + sizeof(word) <= len; n += sizeof(word)) {
		memcpy(&word, text + n, sizeof(word));
		if (word & high)
			break;
	}
	return n;
}

static bool is_utf8(const char *text, size_t len)
{
	size_t at = 0, n = 1;

	for (; at < len && n; at += n) {
		at += ascii_run(text + at, len - at);
		if (at == len)
			break;
		n = (unsigned char)text[at] < 0x80
			    ? 1
			    : utf8_len((const unsigned char *)text + at, len - at);
	}
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
	return list_root(json);
}

static bool is(const struct json *json, json_ref value, jsmntype_t type)
{
	return json->tokens[value].type == type;
}

/* A token comes before those that are within it, and they before what follows it. */
static bool is_within(const struct json *json, json_ref at, json_ref whole)
{
	return at < json->count && json->tokens[at].start < json->tokens[whole].end;
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

/* The value of that key, behind the one that has been found, if any. */
static void meet(struct json *json, json_ref at, const char *key, size_t len, json_ref *found)
{
	if (!says(json, at, key, len))
		return;
	json->doubtful |= *found != 0;
	*found = at + 1;
}

static json_ref find_listed(struct json *json, const char *key, size_t len, uint32_t mark)
{
	json_ref found = 0;

	for (size_t at = slot_of(mark); json->slots[at].at; at = (at + 1) % SLOTS)
		if (json->slots[at].mark == mark)
			meet(json, json->slots[at].at, key, len, &found);
	return found;
}

static json_ref find_within(struct json *json, json_ref object, const char *key, size_t len)
{
	json_ref found = 0;

	if (!is(json, object, JSMN_OBJECT))
		return 0;
	for (json_ref at = object + 1; is_within(json, at, object); at++)
		if (is_key_of(json, at, object))
			meet(json, at, key, len, &found);
	return found;
}

json_ref json_find(struct json *json, json_ref object, const char *key, size_t len, uint32_t mark)
{
	return object == JSON_ROOT && json->listed ? find_listed(json, key, len, mark)
						   : find_within(json, object, key, len);
}

bool json_is_doubtful(const struct json *json)
{
	return json->doubtful;
}

/* The first of the array's own from there on. */
static json_ref entry_from(const struct json *json, json_ref array, json_ref at)
{
	while (is_within(json, at, array) && json->tokens[at].parent != (int)array)
		at++;
	return is_within(json, at, array) ? at : 0;
}

json_ref json_first(const struct json *json, json_ref array)
{
	return array && is(json, array, JSMN_ARRAY) ? entry_from(json, array, array + 1) : 0;
}

json_ref json_next(const struct json *json, json_ref array, json_ref entry)
{
	return entry_from(json, array, entry + 1);
}

bool json_is_true(const struct json *json, json_ref value)
{
	return value && is(json, value, JSMN_PRIMITIVE) && says(json, value, "true", 4);
}

/* A number's digits; none where it is no number. Is there a minus before them? */
static bool digits_of(const struct json *json, json_ref value, const char **ret, size_t *ret_len)
{
	const jsmntok_t *token = &json->tokens[value];
	const bool negative = json->line[token->start] == '-';

	*ret = json->line + token->start + negative;
	*ret_len = value && token->type == JSMN_PRIMITIVE
			   ? (size_t)(token->end - token->start) - negative
			   : 0;
	return negative;
}

bool json_u64(const struct json *json, json_ref value, uint64_t most, uint64_t *ret)
{
	const char *digits;
	size_t len;

	return !digits_of(json, value, &digits, &len) && decimal_of(digits, len, most, ret);
}

bool json_i64(const struct json *json, json_ref value, int64_t least, int64_t most, int64_t *ret)
{
	const char *digits;
	size_t len;
	const bool negative = digits_of(json, value, &digits, &len);
	uint64_t number;

	if (!decimal_of(digits, len, negative ? -(uint64_t)least : (uint64_t)most, &number))
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
	if (len > (size_t)(text->end - text->at)) {
		len = (size_t)(text->end - text->at);
		text->good = false;
	}
	memcpy(text->at, from, len);
	text->at += len;
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

static void put_all(struct text *text, const char *at, const char *end)
{
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
}

static bool is_plain(const char *text, size_t len)
{
	return !memchr(text, '\\', len) && !memchr(text, *replaced, len);
}

static bool decode(const struct json *json, json_ref value, struct text *text)
{
	const char *const at = json->line + json->tokens[value].start;
	const char *const end = json->line + json->tokens[value].end;

	if (!json_is_string(json, value))
		return false;
	if (is_plain(at, (size_t)(end - at)))
		put_bytes(text, at, (size_t)(end - at));
	else
		put_all(text, at, end);
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
