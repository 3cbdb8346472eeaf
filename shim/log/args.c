/* SPDX-License-Identifier: MIT */
/*
 * args.c - see args.h.
 */
#include "log/args.h"

#include <string.h>
#include <sys/socket.h>

#include "facts/names.h"

static void out_quote(struct out *out, char quote)
{
	if (quote)
		out_char(out, quote);
}

void out_constant(struct out *out, char quote, const char *name, int64_t number)
{
	if (!name) {
		out_i64(out, number);
		return;
	}
	out_quote(out, quote);
	out_str(out, name);
	out_quote(out, quote);
}

void out_socket_type(struct out *out, char quote, int type)
{
	const char *name = constant_name(NAMES_type, type & SOCKET_TYPE_MASK);
	const int flags = type & ~SOCKET_TYPE_MASK;

	if (!name || (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))) {
		out_i64(out, type);
		return;
	}
	out_quote(out, quote);
	out_str(out, name);
	for (int flag = 1; flag <= flags && flag > 0; flag <<= 1)
		if (flags & flag) {
			out_char(out, '|');
			out_str(out, constant_name(NAMES_type_flag, flag));
		}
	out_quote(out, quote);
}

void out_option_value(struct out *out, char quote, const struct event *ev)
{
	const struct option_value *value = &ev->more.value;
	const bool is_error =
		ev->args.sockopt.level == SOL_SOCKET && ev->args.sockopt.option == SO_ERROR;
	int32_t number;

	if (value->len == sizeof(number)) {
		memcpy(&number, value->bytes, sizeof(number));
		out_constant(out, quote, is_error ? error_name(number) : NULL, number);
		return;
	}
	out_quote(out, quote);
	out_hex_bytes(out, value->bytes,
		      value->len < sizeof(value->bytes) ? value->len : sizeof(value->bytes));
	out_quote(out, quote);
}
