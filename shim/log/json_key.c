/* SPDX-License-Identifier: MIT */
/*
 * json_key.c - see json_key.h.
 */
#include "log/json_key.h"

#include "facts/frames.h"

void key_string(struct out *out, const char *key, const char *text, size_t len)
{
	out_str(out, key);
	out_char(out, QUOTE);
	out_json(out, text, len);
	out_char(out, QUOTE);
}

void out_frame_object(struct out *out, const struct frame *frame)
{
	out_str(out, "{\"module\":\"");
	out_json(out, frame->module, strnlen(frame->module, sizeof(frame->module)));
	out_str(out, "\",\"offset\":\"0x");
	out_hex(out, frame->offset);
	out_char(out, '"');
	if (frame->symbol[0]) {
		out_str(out, ",\"symbol\":\"");
		out_json(out, frame->symbol, strnlen(frame->symbol, sizeof(frame->symbol)));
		out_char(out, '"');
		key_u64(out, KEY("symoff"), frame->symbol_offset);
	}
	out_char(out, '}');
}
