/* SPDX-License-Identifier: MIT */
/*
 * protobuf.h - bytes as Protocol Buffers have them on the wire; bounded: what does not fit is left
 * out whole.
 */
#ifndef CLI_PROTOBUF_H
#define CLI_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct message {
	size_t len;
	uint8_t bytes[1000];
};

enum { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES };

static inline void message_raw(struct message *message, const void *bytes, size_t len)
{
	if (len > sizeof(message->bytes) - message->len)
		return;
	memcpy(message->bytes + message->len, bytes, len);
	message->len += len;
}

static inline size_t varint(uint8_t ret[10], uint64_t number)
{
	size_t len = 0;

	for (; number >= 0x80; number >>= 7)
		ret[len++] = (uint8_t)(number | 0x80);
	ret[len++] = (uint8_t)number;
	return len;
}

/* A field's number and type, and a number. */
static inline size_t field_head(uint8_t ret[20], uint32_t field, uint32_t type, uint64_t number)
{
	const size_t len = varint(ret, field << 3 | type);

	return len + varint(ret + len, number);
}

static inline void message_number(struct message *message, uint32_t field, uint64_t number)
{
	uint8_t head[20];

	message_raw(message, head, field_head(head, field, WIRE_VARINT, number));
}

static inline void message_fixed(struct message *message, uint32_t field, uint64_t number)
{
	uint8_t bytes[20];
	const size_t len = varint(bytes, field << 3 | WIRE_FIXED64);

	for (size_t i = 0; i < 8; i++)
		bytes[len + i] = (uint8_t)(number >> 8 * i);
	message_raw(message, bytes, len + 8);
}

static inline void message_bytes(struct message *message, uint32_t field, const void *bytes,
				 size_t len)
{
	uint8_t head[20];
	const size_t head_len = field_head(head, field, WIRE_BYTES, len);

	if (head_len + len > sizeof(message->bytes) - message->len)
		return;
	message_raw(message, head, head_len);
	message_raw(message, bytes, len);
}

static inline void message_within(struct message *message, uint32_t field,
				  const struct message *inner)
{
	message_bytes(message, field, inner->bytes, inner->len);
}

#endif
