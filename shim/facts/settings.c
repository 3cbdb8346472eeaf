/* SPDX-License-Identifier: MIT */
/*
 * settings.c - see settings.h.
 */
#include "facts/settings.h"

#include <string.h>

#include "facts/callsite.h"
#include "facts/names.h"
#include "reuse/ring.h"

/* One of several words; -1 where it is none of them. */
static int parse_word(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return -1;
}

/* The next part of a list, up to the comma; false at the end. */
static bool next_part(const char **rest, const char **ret_part, size_t *ret_len)
{
	if (!*rest)
		return false;

	const char *comma = strchr(*rest, ',');

	*ret_part = *rest;
	*ret_len = comma ? (size_t)(comma - *rest) : strlen(*rest);
	*rest = comma ? comma + 1 : NULL;
	return true;
}

/* "65536", "512K", "16M", "1G": a size that a ring may have; 0 where it is none. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGkmg";
	const char *unit, *c = text;
	uint64_t size = 0;

	for (; *c >= '0' && *c <= '9' && c - text < 13; c++)
		size = size * 10 + (uint64_t)(*c - '0');
	unit = *c ? strchr(units, *c) : NULL;
	if (c == text || (*c && (!unit || c[1])))
		return 0;
	if (unit && size > RING_SIZE_MOST)
		return 0;
	if (unit)
		size <<= 10 * ((unit - units) % 3 + 1);
	return size >= RING_SIZE_LEAST && size <= RING_SIZE_MOST ? size : 0;
}

/* Words are no paths: the file of a name like "on" is hardly what somebody wants. */
static bool is_path(const char *text)
{
	return strchr(text, '/') || strchr(text, '.') || strchr(text, '%');
}

/* PATH, or PATH:SIZE: the last colon, where a size follows it and not the end of the path. */
static const char *ring_colon(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon && !is_path(colon) ? colon : NULL;
}

static bool parse_ring(struct settings *set, const char *text)
{
	const char *colon = ring_colon(text);
	const size_t len = colon ? (size_t)(colon - text) : strlen(text);
	const uint64_t size = colon ? parse_size(colon + 1) : RING_SIZE_USUAL;

	if (len == 0 || size == 0)
		return false;
	set->log = LOG_RING;
	set->log_path = text;
	set->log_path_len = len;
	set->ring_size = size;
	return true;
}

/* What follows the prefix; NULL where text does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
	const size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

const char *const log_words[LOG_KINDS] = {
#define SINK(kind, word) word,
#define SINK_AT(kind, prefix) prefix,
#include "reuse/sinks.def"
};

/* Which of them text says; of a path without a prefix: LOG_FILE. */
static enum log_kind log_kind_of(const char *text)
{
	int kind = LOG_KINDS - 1;

	while (kind > LOG_FILE && !after(text, log_words[kind]))
		kind--;
	for (int word = 0; kind == LOG_FILE && word < LOG_FILE; word++)
		if (strcmp(text, log_words[word]) == 0)
			kind = word;
	return (enum log_kind)kind;
}

static bool parse_log(struct settings *set, const char *text)
{
	const enum log_kind kind = log_kind_of(text);
	const char *path = text + strlen(log_words[kind]);

	if (kind == LOG_RING)
		return parse_ring(set, path);
	if (kind >= LOG_FILE && (!*path || (kind == LOG_FILE && !is_path(path))))
		return false;
	set->log = kind;
	if (kind < LOG_FILE)
		return true;
	set->log_path = path;
	set->log_path_len = strlen(path);
	return true;
}

static bool parse_format(struct settings *set, const char *text)
{
	static const char *const words[] = {"text", "json", NULL};
	const int word = parse_word(text, words);

	if (word >= 0)
		set->format = (enum log_format)word;
	return word >= 0;
}

const char *const reuse_words[] = {"auto", "force", "gentle", "off", NULL};

static bool parse_reuse(struct settings *set, const char *text)
{
	const int word = parse_word(text, reuse_words);

	if (word >= 0)
		set->reuse = (enum reuse_mode)word;
	return word >= 0;
}

static bool parse_color(struct settings *set, const char *text)
{
	static const char *const words[] = {"auto", "always", "never", NULL};
	const int word = parse_word(text, words);

	if (word >= 0)
		set->color = (enum color_mode)word;
	return word >= 0;
}

static bool parse_switch(bool *ret, const char *text)
{
	static const char *const words[] = {"0", "1", NULL};
	const int word = parse_word(text, words);

	if (word >= 0)
		*ret = word;
	return word >= 0;
}

static bool parse_reuseport(struct settings *set, const char *text)
{
	return parse_switch(&set->reuseport, text);
}

static bool parse_report(struct settings *set, const char *text)
{
	return parse_switch(&set->report, text);
}

/* A decimal number of len digits from 0 to most; -1 where it is none. */
static int parse_number(const char *text, size_t len, int most)
{
	int number = 0;

	if (len == 0 || len > 5)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number <= most ? number : -1;
}

static bool parse_wait(struct settings *set, const char *text)
{
	const int seconds = parse_number(text, strlen(text), 120);

	if (seconds >= 0)
		set->wait_seconds = (uint8_t)seconds;
	return seconds >= 0;
}

static bool parse_stack(struct settings *set, const char *text)
{
	const int frames = parse_number(text, strlen(text), CALLSITE_FRAMES);

	if (frames >= 0)
		set->stack = (unsigned int)frames;
	return frames >= 0;
}

/* "9999" or "8000-8100". */
static bool parse_range(const char *text, size_t len, unsigned int *ret_first,
			unsigned int *ret_last)
{
	const char *dash = memchr(text, '-', len);
	const size_t before = dash ? (size_t)(dash - text) : len;
	const int first = parse_number(text, before, 65535);
	const int last = dash ? parse_number(dash + 1, len - before - 1, 65535) : first;

	if (first < 1 || last < first)
		return false;
	*ret_first = (unsigned int)first;
	*ret_last = (unsigned int)last;
	return true;
}

static bool parse_ports(struct settings *set, const char *text)
{
	unsigned int first, last;
	const char *rest = text, *part;
	size_t len;

	while (next_part(&rest, &part, &len))
		if (!parse_range(part, len, &first, &last))
			return false;

	set->some_ports = true;
	memset(set->ports, 0, sizeof(set->ports));
	for (rest = text; next_part(&rest, &part, &len);) {
		if (!parse_range(part, len, &first, &last))
			return false;
		for (unsigned int port = first; port <= last; port++)
			set->ports[port / 64] |= UINT64_C(1) << port % 64;
	}
	return true;
}

static bool parse_calls(struct settings *set, const char *text)
{
	const char *rest = text, *part;
	uint32_t calls = 0;
	size_t len;

	while (next_part(&rest, &part, &len)) {
		const int call = call_by_name(part, len);

		if (call < 0)
			return false;
		calls |= CALL_BIT(call);
	}
	set->calls = calls;
	return true;
}

/* Every part must name something. */
static bool is_list(const char *text)
{
	const char *part;
	size_t len;

	while (next_part(&text, &part, &len))
		if (len == 0)
			return false;
	return true;
}

static bool parse_only(struct settings *set, const char *text)
{
	if (!is_list(text))
		return false;
	set->only = text;
	return true;
}

static bool parse_skip(struct settings *set, const char *text)
{
	if (!is_list(text))
		return false;
	set->skip = text;
	return true;
}

const struct setting settings_table[] = {
#define SETTING(variable, name, accepted, otherwise) {variable, accepted, otherwise, parse_##name},
#include "reuse/settings.def"
};

const unsigned int settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

/* What people write for what: words, in any case of letters, and the one that is meant. */
static const struct slip {
	bool (*parse)(struct settings *set, const char *text);
	const char *words, *meant;
} slips[] = {
	{parse_log, "stderr,1,on,true,yes,err,2,-", "stderr"},
	{parse_log, "stdout,out", "stdout"},
	{parse_log, "off,0,no,none,false,never", "off"},
	{parse_log, "syslog", "unix:/dev/log"},
	{parse_log, "journal,journald,systemd", "journal"},
	{parse_format, "text,txt", "text"},
	{parse_format, "json,jsonl,ndjson", "json"},
	{parse_reuse, "auto,1,on,true,yes", "auto"},
	{parse_reuse, "off,0,no,none,false,never", "off"},
	{parse_reuse, "force,always", "force"},
	{parse_reuse, "gentle", "gentle"},
	{parse_reuseport, "on,true,yes", "1"},
	{parse_reuseport, "off,no,none,false,never", "0"},
	{parse_report, "on,true,yes", "1"},
	{parse_report, "off,no,none,false,never", "0"},
	{parse_wait, "off,no,none,false,never", "0"},
	{parse_stack, "off,no,none,false,never", "0"},
	{parse_color, "auto", "auto"},
	{parse_color, "always,1,on,true,yes", "always"},
	{parse_color, "never,0,off,no,none,false", "never"},
};

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_word(const char *text, const char *word, size_t len)
{
	size_t i = 0;

	while (i < len && lower(text[i]) == word[i])
		i++;
	return i == len && !text[len];
}

static const char *slip_meant(const struct setting *setting, const char *text)
{
	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		const char *rest = slips[i].words, *word;
		size_t len;

		while (slips[i].parse == setting->parse && next_part(&rest, &word, &len))
			if (is_word(text, word, len))
				return slips[i].meant;
	}
	return NULL;
}

enum { MOST_SHOWN = 200 }; /* of a value: room is left for what is said of it */

/* Of a log that is none of the words. */
static void hint_log(struct out *out, const char *text)
{
	const enum log_kind kind = log_kind_of(text);
	const char *path = text + strlen(log_words[kind]);
	const char *colon = kind == LOG_RING ? ring_colon(path) : NULL;

	if (colon && colon > path) {
		out_str(out, ": a size from 64K to 1024G was probably meant behind the last colon");
	} else if (kind > LOG_FILE) {
		out_str(out, ": a path is missing");
	} else {
		out_str(out, ": if a file is meant, write ./");
		out_mem(out, text, strnlen(text, MOST_SHOWN));
	}
}

void settings_refuse(struct out *out, const char *name, const struct setting *setting,
		     const char *value)
{
	const char *meant = slip_meant(setting, value);

	out_str(out, name);
	out_char(out, '=');
	out_mem(out, value, strnlen(value, MOST_SHOWN));
	out_str(out, " is not understood");
	if (meant) {
		out_str(out, ": ");
		out_str(out, meant);
		out_str(out, " was probably meant");
	} else if (setting->parse == parse_log) {
		hint_log(out, value);
	}
	out_str(out, " (accepted: ");
	out_str(out, setting->accepted);
	out_char(out, ')');
}

void settings_init(struct settings *set)
{
	memset(set, 0, sizeof(*set));
	settings_init_zeroed(set);
}

void settings_init_zeroed(struct settings *set)
{
	set->calls = CALL_BIT(CALL_LOGGED) - 1;
}

bool settings_act_in(const struct settings *set, const char *prog)
{
	if (set->only && !settings_list_has(set->only, prog))
		return false;
	return !set->skip || !settings_list_has(set->skip, prog);
}

bool settings_list_has(const char *list, const char *name)
{
	enum { COMM_LEN = 15 };
	const size_t name_len = strnlen(name, COMM_LEN);
	const char *part;
	size_t len;

	while (next_part(&list, &part, &len)) {
		if (len > COMM_LEN)
			len = COMM_LEN;
		if (len == name_len && memcmp(part, name, len) == 0)
			return true;
	}
	return false;
}
