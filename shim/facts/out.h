/* SPDX-License-Identifier: MIT */
/*
 * out.h - text into a bounded buffer, without libc: what does not fit is left
 * out, and the builder says so. Safe in a signal handler.
 */
#ifndef FACTS_OUT_H
#define FACTS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct out {
	char *start, *at, *end;
	bool truncated;
};

static inline struct out out_into(char *buf, size_t size)
{
	return (struct out){.start = buf, .at = buf, .end = buf + size, .truncated = false};
}

static inline size_t out_len(const struct out *out)
{
	return (size_t)(out->at - out->start);
}

/* As much as fits, and the cut admitted. */
void out_cut(struct out *out, const char *text, size_t len);

/* Inline, as is the next: most texts are literals, whose lengths the compiler knows. */
static inline void out_mem(struct out *out, const char *text, size_t len)
{
	if (__builtin_expect(len > (size_t)(out->end - out->at), 0)) {
		out_cut(out, text, len);
		return;
	}
	memcpy(out->at, text, len);
	out->at += len;
}

static inline void out_str(struct out *out, const char *text)
{
	out_mem(out, text, strlen(text));
}

static inline void out_char(struct out *out, char c)
{
	if (__builtin_expect(out->at < out->end, 1))
		*out->at++ = c;
	else
		out->truncated = true;
}

/* "00" to "99": no division for the second of two digits. */
extern const char digit_pairs[200];

/* The two digits of a number below 100, at that place. */
static inline void put_two(char *at, uint32_t number)
{
	memcpy(at, digit_pairs + number * 2, 2);
}

void out_u64(struct out *out, uint64_t number);
void out_i64(struct out *out, int64_t number);
/* At least width digits, zeros in front. */
void out_padded(struct out *out, uint64_t number, unsigned int width);
void out_hex(struct out *out, uint64_t number);
void out_hex_bytes(struct out *out, const uint8_t *bytes, size_t len);
/* Spaces up to that column of the line; one where it is passed already. */
void out_column(struct out *out, size_t column);
/* Any bytes as printable UTF-8, '?' for the rest: nothing in it moves a cursor or ends a line. */
void out_plain(struct out *out, const char *text, size_t len);
/* What was written since from as ASCII, '?' for the rest: for who reads no UTF-8. */
void out_as_ascii(struct out *out, char *from);
/* How many places on a screen that takes; colours (ESC [ … m) take none. */
size_t out_width(const char *text, const char *end);
/* Behind its first character, or its first colour; the width grows by what that takes. */
const char *out_step(const char *text, const char *end, size_t *width);
/* How many bytes the UTF-8 character has with which these begin; 0 where there is none. */
size_t utf8_len(const unsigned char *text, size_t len);
/* What stands between the quotes of a JSON string; bytes that are no UTF-8 become U+FFFD. */
void out_json(struct out *out, const char *text, size_t len);

#endif
