/* SPDX-License-Identifier: MIT */
/*
 * out.c - see out.h.
 */
#include "facts/out.h"

void out_cut(struct out *out, const char *text, size_t len)
{
	const size_t room = (size_t)(out->end - out->at);

	if (len > room) {
		out->truncated = true;
		len = room;
	}
	memcpy(out->at, text, len);
	out->at += len;
}

const char digit_pairs[200] = "00010203040506070809101112131415161718192021222324"
			      "25262728293031323334353637383940414243444546474849"
			      "50515253545556575859606162636465666768697071727374"
			      "75767778798081828384858687888990919293949596979899";

enum { MOST_DIGITS = 24 };

static unsigned int digits_of(uint64_t number)
{
	static const uint64_t powers[] = {
		0,
		UINT64_C(10),
		UINT64_C(100),
		UINT64_C(1000),
		UINT64_C(10000),
		UINT64_C(100000),
		UINT64_C(1000000),
		UINT64_C(10000000),
		UINT64_C(100000000),
		UINT64_C(1000000000),
		UINT64_C(10000000000),
		UINT64_C(100000000000),
		UINT64_C(1000000000000),
		UINT64_C(10000000000000),
		UINT64_C(100000000000000),
		UINT64_C(1000000000000000),
		UINT64_C(10000000000000000),
		UINT64_C(100000000000000000),
		UINT64_C(1000000000000000000),
		UINT64_C(10000000000000000000),
	};
	/* A bit is worth log10(2) digits, 1233/4096: too few by one at most. */
	const unsigned int bits = 64 - (unsigned int)__builtin_clzll(number | 1);
	const unsigned int least = bits * 1233 >> 12;

	return least + (number >= powers[least]);
}

/* len digits at that place, zeros in front; the number has no more. */
static inline void put_small(char *at, uint32_t number, unsigned int len)
{
	for (; len >= 2; number /= 100)
		put_two(at + (len -= 2), number % 100);
	if (len)
		*at = (char)('0' + number);
}

/* The same. A division of 64 bits is dear: one for eight digits. */
static inline void put_digits(char *at, uint64_t number, unsigned int len)
{
	for (; number > UINT32_MAX; number /= 100000000)
		put_small(at + (len -= 8), (uint32_t)(number % 100000000), 8);
	put_small(at, (uint32_t)number, len);
}

static __attribute__((noinline)) void cut_digits(struct out *out, uint64_t number, unsigned int len)
{
	char text[MOST_DIGITS];

	put_digits(text, number, len);
	out_cut(out, text, len);
}

static void out_digits(struct out *out, uint64_t number, unsigned int len)
{
	if (__builtin_expect(len > (size_t)(out->end - out->at), 0)) {
		cut_digits(out, number, len);
		return;
	}
	put_digits(out->at, number, len);
	out->at += len;
}

void out_padded(struct out *out, uint64_t number, unsigned int width)
{
	const unsigned int digits = digits_of(number);
	const unsigned int len = digits > width ? digits : width;

	out_digits(out, number, len < MOST_DIGITS ? len : MOST_DIGITS);
}

void out_u64(struct out *out, uint64_t number)
{
	if (number < 10)
		out_char(out, (char)('0' + number));
	else
		out_digits(out, number, digits_of(number));
}

void out_i64(struct out *out, int64_t number)
{
	if (number < 0)
		out_char(out, '-');
	out_u64(out, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static char hex_digit(unsigned int nibble)
{
	return "0123456789abcdef"[nibble & 15];
}

void out_hex(struct out *out, uint64_t number)
{
	int shift = 60;

	while (shift > 0 && !(number >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		out_char(out, hex_digit((unsigned int)(number >> shift)));
}

void out_hex_bytes(struct out *out, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		out_char(out, hex_digit(bytes[i] >> 4));
		out_char(out, hex_digit(bytes[i]));
	}
}

void out_column(struct out *out, size_t column)
{
	do
		out_char(out, ' ');
	while (out_len(out) < column && !out->truncated);
}

/* RFC 3629: no overlong form, no surrogate and nothing above U+10FFFF. */
size_t utf8_len(const unsigned char *text, size_t len)
{
	const unsigned char c = text[0];
	size_t n = 0;

	if (c < 0x80)
		n = 1;
	else if (c >= 0xc2 && c < 0xe0)
		n = 2;
	else if (c >= 0xe0 && c < 0xf0)
		n = 3;
	else if (c >= 0xf0 && c < 0xf5)
		n = 4;
	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
	    (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

/* The characters that stand for themselves: most names are made of them from end to end. */
static const bool is_plain[256] = {
	[' ' ... '!'] = true,
	['#' ... '['] = true,
	[']' ... '~'] = true,
};

static size_t plain_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && is_plain[(unsigned char)text[n]])
		n++;
	return n;
}

/*
 * Of the characters that utf8_len takes, those that are no text: the control characters
 * of ISO 6429, separators of lines, and what turns the direction of writing.
 */
static bool is_control(const unsigned char *c, size_t n)
{
	if (n == 2)
		return c[0] == 0xc2 && c[1] < 0xa0;
	return n == 3 && c[0] == 0xe2 &&
	       ((c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
		(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

/* One character that may move a cursor; how many bytes it had. */
static size_t out_plain_char(struct out *out, const char *text, size_t len)
{
	const unsigned char *c = (const unsigned char *)text;
	const size_t n = *c < 0x80 ? 1 : utf8_len(c, len);

	if (n == 0 || *c < ' ' || *c == 0x7f || is_control(c, n))
		out_char(out, '?');
	else
		out_mem(out, text, n);
	return n ? n : 1;
}

void out_plain(struct out *out, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = plain_len(text, len);

		if (n)
			out_mem(out, text, n);
		else
			n = out_plain_char(out, text, len);
		text += n;
		len -= n;
	}
}

void out_as_ascii(struct out *out, char *from)
{
	for (char *at = from; at < out->at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
}

const char *out_step(const char *text, const char *end, size_t *width)
{
	if (*text != '\033')
		*width +=
			((unsigned char)*text & 0xc0) != 0x80; /* not in the midst of a character */
	else
		while (text + 1 < end && *text != 'm')
			text++;
	return text + 1;
}

/* Eight bytes that are neither ESC nor part of a longer character: nearly all that is written. */
static inline bool are_ascii(const char *text)
{
	const uint64_t high_bits = UINT64_C(0x8080808080808080), spaces = high_bits / 0x80 * ' ';
	uint64_t eight;

	memcpy(&eight, text, sizeof(eight));
	return !(((eight - spaces) | eight) & high_bits);
}

size_t out_width(const char *text, const char *end)
{
	size_t width = 0;

	while (text < end) {
		if (end - text >= 8 && are_ascii(text)) {
			text += 8;
			width += 8;
		} else {
			text = out_step(text, end, &width);
		}
	}
	return width;
}

/* One character that may not stand for itself; how many bytes it had. */
static size_t out_json_char(struct out *out, const char *text, size_t len)
{
	const unsigned char c = (unsigned char)*text;
	const size_t n = utf8_len((const unsigned char *)text, len);

	if (n == 0) {
		out_str(out, "\xef\xbf\xbd");
		return 1;
	}
	if (c == '"' || c == '\\') {
		out_char(out, '\\');
		out_char(out, (char)c);
	} else if (c < 0x20 || c == 0x7f) {
		out_str(out, "\\u00");
		out_char(out, hex_digit(c >> 4));
		out_char(out, hex_digit(c));
	} else {
		out_mem(out, text, n);
	}
	return n;
}

void out_json(struct out *out, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = plain_len(text, len);

		if (n)
			out_mem(out, text, n);
		else
			n = out_json_char(out, text, len);
		text += n;
		len -= n;
	}
}
