/* SPDX-License-Identifier: MIT */
/*
 * test_out.c - facts/out: bounded text.
 */
#include "facts/out.h"

#include <inttypes.h>
#include <stdlib.h>

#include "unit.h"

enum { ROOM = 512 };

static char room[ROOM];

static struct out fresh(void)
{
	memset(room, 'X', sizeof(room));
	return out_into(room, sizeof(room));
}

static void assert_text(const struct out *out, const char *expected)
{
	assert_false(out->truncated);
	assert_int_equal(out_len(out), strlen(expected));
	assert_memory_equal(out->start, expected, strlen(expected));
}

/* Every function of out.h, on something longer than a few bytes. */

static void write_mem(struct out *out)
{
	out_mem(out, "some\0bytes", 10);
}

static void write_str(struct out *out)
{
	out_str(out, "a string");
}

static void write_char(struct out *out)
{
	out_char(out, 'a');
	out_char(out, 'b');
}

static void write_u64(struct out *out)
{
	out_u64(out, UINT64_MAX);
}

static void write_i64(struct out *out)
{
	out_i64(out, INT64_MIN);
}

static void write_padded(struct out *out)
{
	out_padded(out, 42, 9);
}

static void write_hex(struct out *out)
{
	out_hex(out, UINT64_MAX);
}

static void write_hex_bytes(struct out *out)
{
	static const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0xff};

	out_hex_bytes(out, bytes, sizeof(bytes));
}

static void write_column(struct out *out)
{
	out_column(out, 12);
}

static void write_json(struct out *out)
{
	out_json(out, "a\"\n\xff\xe2\x82\xac", 7);
}

static void write_all(struct out *out)
{
	write_mem(out);
	write_column(out);
	write_i64(out);
	write_json(out);
	write_hex_bytes(out);
	write_str(out);
}

static void (*const writers[])(struct out *out) = {
	write_mem, write_str,	    write_char,	  write_u64,  write_i64, write_padded,
	write_hex, write_hex_bytes, write_column, write_json, write_all,
};

/* Whatever the room: what fits is the beginning, nothing goes past the end, a cut is admitted. */
static void truncation_is_admitted(void **state)
{
	char *const end = memory_end(ROOM);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(writers); i++) {
		struct out whole = fresh();

		writers[i](&whole);
		assert_false(whole.truncated);
		assert_in_range(out_len(&whole), 1, ROOM - 1);
		for (size_t size = 0; size <= out_len(&whole); size++) {
			struct out cut = out_into(end - size, size);

			end[-(long)size - 1] = 'X';
			writers[i](&cut); /* a byte too many would meet unmapped memory */
			assert_int_equal(cut.truncated, size < out_len(&whole));
			assert_int_equal(out_len(&cut), size);
			assert_memory_equal(end - size, room, size);
			assert_int_equal(end[-(long)size - 1], 'X');
		}
	}
}

/* Once truncated, it says so for good, also where later pieces are empty. */
static void truncation_stays(void **state)
{
	char small[2];
	struct out out = out_into(small, sizeof(small));

	(void)state;
	out_str(&out, "abc");
	assert_true(out.truncated);
	out_str(&out, "");
	out_mem(&out, "", 0);
	assert_true(out.truncated);
	assert_memory_equal(small, "ab", 2);
}

/* Nothing fits into no room, and nothing at all does fit. */
static void no_room(void **state)
{
	char byte = 'X';
	struct out out = out_into(&byte, 0);

	(void)state;
	out_mem(&out, "", 0);
	out_str(&out, "");
	out_json(&out, "", 0);
	out_hex_bytes(&out, NULL, 0);
	assert_false(out.truncated);
	out_char(&out, 'a');
	assert_true(out.truncated);
	assert_int_equal(out_len(&out), 0);
	assert_int_equal(byte, 'X');
}

/* Numbers are those of printf: the ends of the ranges, powers of 2 and 10, and many others. */
static void numbers(void **state)
{
	uint64_t seed = 1, ten = 1;
	char expected[64];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t number = next_random(&seed) >> i % 64;
		struct out out = fresh();

		if (i < 64)
			number = UINT64_C(1) << i;
		else if (i < 128)
			number = (UINT64_C(1) << (i - 64)) - 1;
		else if (i < 128 + 20)
			number = ten, ten *= 10;
		else if (i < 128 + 40)
			ten = i == 128 + 20 ? 1 : ten * 10, number = ten - 1;
		out_u64(&out, number);
		out_char(&out, ' ');
		out_i64(&out, (int64_t)number);
		out_char(&out, ' ');
		out_hex(&out, number);
		snprintf(expected, sizeof(expected), "%" PRIu64 " %" PRId64 " %" PRIx64, number,
			 (int64_t)number, number);
		assert_text(&out, expected);
	}
}

/* The ends of the ranges, letter by letter. */
static void ends_of_the_ranges(void **state)
{
	struct out out = fresh();

	(void)state;
	out_u64(&out, 0);
	out_char(&out, ' ');
	out_u64(&out, UINT64_MAX);
	out_char(&out, ' ');
	out_i64(&out, INT64_MIN);
	out_char(&out, ' ');
	out_i64(&out, INT64_MAX);
	out_char(&out, ' ');
	out_i64(&out, -1);
	out_char(&out, ' ');
	out_hex(&out, 0);
	out_char(&out, ' ');
	out_hex(&out, UINT64_MAX);
	assert_text(&out, "0 18446744073709551615 -9223372036854775808 9223372036854775807 -1 0 "
			  "ffffffffffffffff");
}

/* At least that many digits, and never fewer than the number has. */
static void padding(void **state)
{
	static const uint64_t some[] = {0, 7, 42, 999999, 1000000, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(some); i++)
		for (unsigned int width = 0; width <= 20; width++) {
			char expected[64];
			struct out out = fresh();

			out_padded(&out, some[i], width);
			snprintf(expected, sizeof(expected), "%0*" PRIu64, (int)width, some[i]);
			assert_text(&out, expected);
		}
}

/* Bytes in hex: two small digits each. */
static void hex_bytes(void **state)
{
	(void)state;
	for (unsigned int byte = 0; byte < 256; byte++) {
		const uint8_t bytes[] = {(uint8_t)byte, (uint8_t)~byte};
		struct out out = fresh();
		char expected[8];

		out_hex_bytes(&out, bytes, sizeof(bytes));
		snprintf(expected, sizeof(expected), "%02x%02x", byte, 255 - byte);
		assert_text(&out, expected);
	}
}

/* Spaces up to the column; one where the text has reached or passed it. */
static void columns(void **state)
{
	(void)state;
	for (size_t before = 0; before < 12; before++) {
		char expected[32];
		const int spaces = before < 10 ? 10 - (int)before : 1;
		struct out out = fresh();

		for (size_t i = 0; i < before; i++)
			out_char(&out, 'a');
		out_column(&out, 10);
		out_char(&out, 'b');
		snprintf(expected, sizeof(expected), "%.*s%*sb", (int)before, "aaaaaaaaaaaa",
			 spaces, "");
		assert_text(&out, expected);
	}
}

/* Every byte of ASCII: controls as \u00XX, quote and backslash escaped, the rest as it is. */
static void json_ascii(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < 0x80; c++) {
		const char text[] = {'<', (char)c, '>'};
		char expected[16];
		struct out out = fresh();

		out_json(&out, text, sizeof(text));
		if (c < 0x20 || c == 0x7f)
			snprintf(expected, sizeof(expected), "<\\u%04x>", c);
		else if (c == '"' || c == '\\')
			snprintf(expected, sizeof(expected), "<\\%c>", (int)c);
		else
			snprintf(expected, sizeof(expected), "<%c>", (int)c);
		assert_text(&out, expected);
	}
}

/* What takes a place on a screen, told by hand: at each place of a longer text, and cut anywhere.
 */
static void widths(void **state)
{
	static const struct {
		const char *text;
		size_t width;
	} parts[] = {
		{"a", 1},	 {" ", 1},	  {"\177", 1},
		{"\t", 1},	 {"\303\200", 1}, {"\342\202\254", 1},
		{"\033[36m", 0},
	};
	static const char cut[] = "\033[36";

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t before = 0; before < 20; before++) {
			struct out out = fresh();

			for (size_t n = 0; n < before; n++)
				out_char(&out, 'b');
			out_str(&out, parts[i].text);
			out_str(&out, "and on and on");
			assert_int_equal(out_width(out.start, out.at),
					 before + parts[i].width + 13);
			assert_int_equal(out_width(out.start, out.at - 13),
					 before + parts[i].width);
			assert_int_equal(out_width(out.start, out.start + before), before);
		}
	assert_int_equal(out_width(cut, cut + sizeof(cut) - 1), 0);
}

/* UTF-8 of a code point, by the table of RFC 3629; its length. */
static size_t encode(uint32_t code, char *ret)
{
	static const uint32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
	static const unsigned int leads[] = {0x00, 0xc0, 0xe0, 0xf0};
	size_t n = 1;

	while (code >= limits[n - 1])
		n++;
	for (size_t i = n; i-- > 1; code >>= 6)
		ret[i] = (char)(0x80 | (code & 0x3f));
	ret[0] = (char)(leads[n - 1] | code);
	return n;
}

/* Every character of Unicode above ASCII passes unchanged; surrogates become U+FFFD a byte. */
static void json_unicode(void **state)
{
	(void)state;
	for (uint32_t code = 0x80; code <= 0x10ffff; code++) {
		char text[4];
		const size_t n = encode(code, text);
		struct out out = out_into(room, sizeof(room));

		out_json(&out, text, n);
		room[out_len(&out)] = 0;
		if (code >= 0xd800 && code <= 0xdfff) {
			if (strcmp(room, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") != 0)
				fail_msg("surrogate U+%04" PRIX32 " was let through", code);
		} else if (out_len(&out) != n || memcmp(room, text, n) != 0) {
			fail_msg("U+%04" PRIX32 " was changed", code);
		}
	}
}

/* How many bytes of text are one character: what encode makes of what they mean, else 0. */
static size_t character(const char *text, size_t len)
{
	for (size_t n = 1; n <= 4 && n <= len; n++) {
		const unsigned int lead = (unsigned char)text[0];
		uint32_t code = n == 1 ? lead : lead & (0x7fu >> n);
		char again[4];

		for (size_t i = 1; i < n; i++)
			code = code << 6 | ((unsigned char)text[i] & 0x3f);
		if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			continue;
		if (encode(code, again) == n && memcmp(again, text, n) == 0)
			return n;
	}
	return 0;
}

/* The expected escaping, and the end of it. */
static char *expect_json(char *at, const char *text, size_t len)
{
	while (len) {
		const size_t n = character(text, len);
		const unsigned int c = (unsigned char)*text;

		if (n == 0)
			at += sprintf(at, "\xef\xbf\xbd");
		else if (n > 1)
			at = (char *)memcpy(at, text, n) + n;
		else if (c < 0x20 || c == 0x7f)
			at += sprintf(at, "\\u%04x", c);
		else
			at += sprintf(at, c == '"' || c == '\\' ? "\\%c" : "%c", (int)c);
		text += n ? n : 1;
		len -= n ? n : 1;
	}
	return at;
}

static void check_json(const char *text, size_t len)
{
	char expected[64];
	const size_t expected_len = (size_t)(expect_json(expected, text, len) - expected);
	struct out out = out_into(room, sizeof(room));

	out_json(&out, text, len);
	if (out_len(&out) != expected_len || memcmp(room, expected, expected_len) != 0)
		fail_msg("%02x %02x %02x %02x (%zu bytes): %.*s, not %.*s", (unsigned char)text[0],
			 (unsigned char)text[1], (unsigned char)text[2], (unsigned char)text[3],
			 len, (int)out_len(&out), room, (int)expected_len, expected);
}

/*
 * Bytes that are no UTF-8 become U+FFFD each: overlong forms, surrogates, beyond
 * U+10FFFF, cut at any place, continuations alone. All that begins with one or
 * two bytes, and up to four of those at which something changes.
 */
static void json_invalid(void **state)
{
	static const unsigned char edges[] = {0x00, 'a',  '"',	0x7f, 0x80, 0x8f, 0x90, 0x9f,
					      0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
					      0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4,
					      0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};
	enum { N = COUNT_OF(edges) };
	/* Against the end of memory: no byte after the text may be looked at. */
	char *const text = memory_end(4) - 4;

	(void)state;
	for (unsigned int i = 0; i < 0x10000; i++) {
		text[2] = (char)(i >> 8);
		text[3] = (char)i;
		check_json(text + 3, 1);
		check_json(text + 2, 2);
	}
	for (unsigned int i = 0; i < N * N * N * N; i++) {
		text[0] = (char)edges[i % N];
		text[1] = (char)edges[i / N % N];
		text[2] = (char)edges[i / N / N % N];
		text[3] = (char)edges[i / N / N / N];
		check_json(text, 4);
		if (i < N * N * N) {
			memmove(text + 1, text, 3);
			check_json(text + 1, 3);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncation_is_admitted),
		cmocka_unit_test(truncation_stays),
		cmocka_unit_test(no_room),
		cmocka_unit_test(numbers),
		cmocka_unit_test(ends_of_the_ranges),
		cmocka_unit_test(padding),
		cmocka_unit_test(hex_bytes),
		cmocka_unit_test(columns),
		cmocka_unit_test(widths),
		cmocka_unit_test(json_ascii),
		cmocka_unit_test(json_unicode),
		cmocka_unit_test(json_invalid),
	};

	return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
