/* SPDX-License-Identifier: MIT */
/*
 * fuzz_out.c - any bytes as text, into a room of any size: a JSON string stays one, plain text
 * is UTF-8 (as libc reads it) without a character that moves a terminal's cursor, and nothing
 * is written outside the room. The first byte is the size.
 */
#include <locale.h>
#include <wchar.h>

#include "facts/out.h"
#include "fuzz.h"
#include "json_check.h"

static void as_json(const char *text, size_t len)
{
	const size_t size = 6 * len + 2;
	char *room = malloc(size);
	struct out out = out_into(room, size);

	HOLDS(room);
	out_char(&out, '"');
	out_json(&out, text, len);
	out_char(&out, '"');
	HOLDS(!out.truncated);
	HOLDS(json_is_one_value(room, out_len(&out)));
	free(room);
}

/* What turns the direction of writing, and what ends a line. */
static bool is_disguise(wchar_t c)
{
	return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void is_text(const char *text, size_t len)
{
	mbstate_t state = {0};
	wchar_t c;

	HOLDS(setlocale(LC_CTYPE, "C.UTF-8"));
	while (len > 0) {
		const size_t n = mbrtowc(&c, text, len, &state);

		HOLDS(n > 0 && n <= len);
		HOLDS(c >= ' ' && !(c >= 0x7f && c < 0xa0) && !is_disguise(c));
		text += n;
		len -= n;
	}
}

static void into_little_room(const char *text, size_t len, size_t size)
{
	char *room = malloc(size ? size : 1);
	struct out json, plain;

	HOLDS(room);
	json = out_into(room, size);
	out_json(&json, text, len);
	out_padded(&json, len, (unsigned int)size);
	out_hex(&json, len);
	HOLDS(out_len(&json) <= size);

	plain = out_into(room, size);
	out_plain(&plain, text, len);
	HOLDS(out_len(&plain) <= (len < size ? len : size));
	HOLDS(len > size || !plain.truncated);
	if (!plain.truncated)
		is_text(room, out_len(&plain));
	out_as_ascii(&plain, room);
	for (size_t i = 0; i < out_len(&plain); i++)
		HOLDS(room[i] >= ' ' && room[i] < 0x7f);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_string(data + 1, size - 1);
	as_json(text, size - 1);
	into_little_room(text, size - 1, data[0]);
	free(text);
	return 0;
}
