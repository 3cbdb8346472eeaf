/* SPDX-License-Identifier: MIT */
/*
 * endpoint.c - see endpoint.h.
 */
#include "facts/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* What stands before an IPv4 address on an IPv6 socket. */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct endpoint endpoint_from(const union sock_addr *addr, size_t len)
{
	const size_t without_scope = offsetof(struct sockaddr_in6, sin6_scope_id);
	struct endpoint end = {0};

	if (len >= sizeof(struct sockaddr_in) && addr->family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, addr, sizeof(in));
		end.family = AF_INET;
		end.port = ntohs(in.sin_port);
		memcpy(end.addr, &in.sin_addr, 4);
	} else if (len >= without_scope && addr->family == AF_INET6) {
		struct sockaddr_in6 in6 = {0};

		/* RFC 2133's shorter form has no scope; a part of one is none. */
		memcpy(&in6, addr, len < sizeof(in6) ? without_scope : sizeof(in6));
		end.family = AF_INET6;
		end.port = ntohs(in6.sin6_port);
		end.scope = in6.sin6_scope_id;
		memcpy(end.addr, &in6.sin6_addr, 16);
	}
	return end;
}

bool endpoint_is_wildcard(const struct endpoint *end)
{
	static const uint8_t any[16];

	return memcmp(end->addr, any, end->family == AF_INET ? 4 : 16) == 0;
}

const uint8_t *endpoint_ipv4(const struct endpoint *end)
{
	if (end->family == AF_INET)
		return end->addr;
	return memcmp(end->addr, mapped, sizeof(mapped)) == 0 ? end->addr + sizeof(mapped) : NULL;
}

bool endpoint_is_loopback(const struct endpoint *end)
{
	static const uint8_t ipv6_loopback[16] = {[15] = 1};
	const uint8_t *ipv4 = endpoint_ipv4(end);

	return ipv4 ? ipv4[0] == 127 : memcmp(end->addr, ipv6_loopback, 16) == 0;
}

bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	const uint8_t *a4 = endpoint_ipv4(a), *b4 = endpoint_ipv4(b);

	if (a->port != b->port || !a->family || !b->family || !a4 != !b4)
		return false;
	if (a4)
		return memcmp(a4, b4, 4) == 0;
	return memcmp(a->addr, b->addr, 16) == 0 &&
	       (a->scope == b->scope || !a->scope || !b->scope);
}

/* The number of a byte, at that place; where the next character goes. */
static char *put_byte(char *at, uint8_t byte)
{
	if (byte >= 100)
		*at++ = byte >= 200 ? '2' : '1';
	if (byte >= 10) {
		put_two(at, byte % 100);
		return at + 2;
	}
	*at = (char)('0' + byte);
	return at + 1;
}

static void out_ipv4(struct out *out, const uint8_t *addr)
{
	char text[16], *at = put_byte(text, addr[0]);

	for (int i = 1; i < 4; i++) {
		*at++ = '.';
		at = put_byte(at, addr[i]);
	}
	out_mem(out, text, (size_t)(at - text));
}

/* The longest run of at least two zero groups; length 0 where there is none. */
static int longest_zeros(const uint16_t *groups, int *ret_start)
{
	int longest = 1, run = 0;

	for (int i = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run > longest) {
			longest = run;
			*ret_start = i + 1 - run;
		}
	}
	return longest > 1 ? longest : 0;
}

/* RFC 5952: small letters, no leading zeros, the longest run of zeros as "::". */
static void out_ipv6(struct out *out, const uint8_t *addr)
{
	uint16_t groups[8];
	int start = 8;

	if (memcmp(addr, mapped, sizeof(mapped)) == 0) {
		out_str(out, "::ffff:");
		out_ipv4(out, addr + 12);
		return;
	}
	for (int i = 0; i < 8; i++)
		groups[i] = (uint16_t)(addr[2 * i] << 8 | addr[2 * i + 1]);

	const int zeros = longest_zeros(groups, &start);

	for (int i = 0; i < 8; i++) {
		if (i == start) {
			out_str(out, "::");
			i += zeros - 1;
			continue;
		}
		if (i && i != start + zeros)
			out_char(out, ':');
		out_hex(out, groups[i]);
	}
}

void out_endpoint(struct out *out, const struct endpoint *end)
{
	if (end->family == AF_INET) {
		out_ipv4(out, end->addr);
	} else {
		out_char(out, '[');
		out_ipv6(out, end->addr);
		if (end->scope) {
			out_char(out, '%');
			out_u64(out, end->scope);
		}
		out_char(out, ']');
	}
	out_char(out, ':');
	out_u64(out, end->port);
}
