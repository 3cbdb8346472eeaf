/* SPDX-License-Identifier: MIT */
/*
 * test_endpoint.c - facts/endpoint: an address with its port.
 */
#include "facts/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "unit.h"

static const char *text_of(const struct endpoint *end)
{
	static char text[128];
	struct out out = out_into(text, sizeof(text) - 1);

	out_endpoint(&out, end);
	assert_false(out.truncated);
	*out.at = 0;
	return text;
}

static struct endpoint ipv6(const char *address, uint32_t scope, uint16_t port)
{
	struct endpoint end = {.family = AF_INET6, .port = port, .scope = scope};

	assert_int_equal(inet_pton(AF_INET6, address, end.addr), 1);
	return end;
}

/* As inet_ntop writes it, in brackets where it is IPv6, with the port. */
static void assert_like_libc(const struct endpoint *end)
{
	char address[INET6_ADDRSTRLEN], expected[128];

	assert_non_null(inet_ntop(end->family, end->addr, address, sizeof(address)));
	snprintf(expected, sizeof(expected), end->family == AF_INET ? "%s:%u" : "[%s]:%u", address,
		 end->port);
	assert_string_equal(text_of(end), expected);
}

/* IPv4 is written as inet_ntop does, for each byte in each place and any port. */
static void ipv4_like_libc(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const uint64_t bits = next_random(&seed);
		struct endpoint end = {.family = AF_INET, .port = (uint16_t)(bits >> 32)};

		memcpy(end.addr, &bits, 4);
		if (i < 4 * 256)
			end.addr[i / 256] = (uint8_t)i;
		/* The other 12 bytes are not part of it. */
		memset(end.addr + 4, 0xff, 12);
		assert_like_libc(&end);
	}
}

/* IPv6 is written as inet_ntop does, for any places of zero groups. */
static void ipv6_like_libc(void **state)
{
	uint64_t seed = 6;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		struct endpoint end = {.family = AF_INET6, .port = (uint16_t)i};

		/* Bit by bit of i: is this group zero? */
		for (int group = 0; group < 8; group++) {
			const unsigned int bits = (unsigned int)next_random(&seed);
			const unsigned int shorter = bits >> 16 & 15;

			if (i >> group & 1)
				continue;
			end.addr[2 * group] = (uint8_t)((bits & 0xffff) >> shorter >> 8);
			end.addr[2 * group + 1] = (uint8_t)((bits & 0xffff) >> shorter);
		}
		/* libc writes ::1.2.3.4 for a kind of address that RFC 4291 has given up. */
		static const uint8_t zeros[12];

		if (memcmp(end.addr, zeros, 12) != 0)
			assert_like_libc(&end);
	}
}

/* Each of the 256 ways to place zero groups, with groups that are as short as can be. */
static void ipv6_zero_groups(void **state)
{
	(void)state;
	for (int zeros = 0; zeros < 256; zeros++) {
		struct endpoint end = {.family = AF_INET6, .port = 1}, again = end;
		char address[64];

		for (int group = 0; group < 8; group++)
			end.addr[2 * group + 1] = !(zeros >> group & 1);

		/* Read back, it is the same address. */
		const char *text = text_of(&end);

		assert_int_equal(sscanf(text, "[%63[0-9a-f:]]:1", address), 1);
		assert_int_equal(inet_pton(AF_INET6, address, again.addr), 1);
		assert_memory_equal(end.addr, again.addr, 16);
		if ((zeros & 0x3f) != 0x3f)
			assert_like_libc(&end);
	}
}

/* The corner cases that RFC 5952 settles, letter by letter. */
static void rfc5952(void **state)
{
	static const struct {
		const char *address, *expected;
	} cases[] = {
		{"0:0:0:0:0:0:0:0", "[::]:80"},
		{"0:0:0:0:0:0:0:1", "[::1]:80"},
		{"1:0:0:0:0:0:0:0", "[1::]:80"},
		{"2001:0db8:0:0:0:0:2:0001", "[2001:db8::2:1]:80"}, /* 4.1: no leading zeros */
		{"2001:db8:0:0:0:0:0:1", "[2001:db8::1]:80"}, /* 4.2.1: as short as possible */
		{"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:80"}, /* 4.2.2: not one group */
		{"0:1:1:1:1:1:1:1", "[0:1:1:1:1:1:1:1]:80"},	       /* nor the first one */
		{"1:1:1:1:1:1:1:0", "[1:1:1:1:1:1:1:0]:80"},	       /* nor the last one */
		{"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:80"},	       /* 4.2.3: the longest run */
		{"2001:0:0:0:1:0:0:1", "[2001::1:0:0:1]:80"},
		{"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:80"}, /* the first of equal runs */
		{"0:0:1:0:0:1:0:0", "[::1:0:0:1:0:0]:80"},
		{"0:0:1:1:1:1:0:0", "[::1:1:1:1:0:0]:80"},
		{"1:1:1:1:1:1:0:0", "[1:1:1:1:1:1::]:80"},
		{"2001:DB8::ABCD:EF", "[2001:db8::abcd:ef]:80"}, /* 4.3: small letters */
		{"::ffff:192.0.2.33", "[::ffff:192.0.2.33]:80"}, /* 5: mapped IPv4 */
		{"::ffff:0.0.0.0", "[::ffff:0.0.0.0]:80"},
		{"::ffff:255.255.255.255", "[::ffff:255.255.255.255]:80"},
		{"::fffe:102:304", "[::fffe:102:304]:80"},
		{"::ffff:0:102:304", "[::ffff:0:102:304]:80"},
		{"64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:80"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct endpoint end = ipv6(cases[i].address, 0, 80);

		assert_string_equal(text_of(&end), cases[i].expected);
	}
}

/* The scope follows the address as a number, and is not shown where it is 0. */
static void scopes(void **state)
{
	const struct endpoint none = ipv6("fe80::1", 0, 9), two = ipv6("fe80::1", 2, 65535),
			      most = ipv6("fe80::", UINT32_MAX, 0);

	(void)state;
	assert_string_equal(text_of(&none), "[fe80::1]:9");
	assert_string_equal(text_of(&two), "[fe80::1%2]:65535");
	assert_string_equal(text_of(&most), "[fe80::%4294967295]:0");
}

/* An IPv4 sockaddr counts from its whole 16 bytes on; what follows is not looked at. */
static void from_ipv4(void **state)
{
	const struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(0x1234),
		.sin_addr.s_addr = htonl(0x7f000001),
	};

	(void)state;
	for (size_t len = 0; len <= 128; len++) {
		union sock_addr addr;

		memset(&addr, 0xff, sizeof(addr));
		memcpy(&addr, &in, sizeof(in));

		const struct endpoint end = endpoint_from(&addr, len);

		if (len < sizeof(in)) {
			assert_int_equal(end.family, 0);
			continue;
		}
		assert_int_equal(end.scope, 0);
		assert_string_equal(text_of(&end), "127.0.0.1:4660");
	}
}

/*
 * An IPv6 sockaddr counts from 24 bytes on (RFC 2133 had no scope); the scope
 * counts where all of it is there, as in the kernel.
 */
static void from_ipv6(void **state)
{
	const struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(80),
		.sin6_flowinfo = 0xffffffff,
		.sin6_addr = {{{0xfe, 0x80, [15] = 1}}},
		.sin6_scope_id = 0x01020304,
	};
	union sock_addr addr;

	(void)state;
	memcpy(&addr, &in6, sizeof(in6));
	for (size_t len = 0; len <= 128; len++) {
		const struct endpoint end = endpoint_from(&addr, len);

		if (len < 24) {
			assert_int_equal(end.family, 0);
			continue;
		}
		assert_string_equal(text_of(&end),
				    len < sizeof(in6) ? "[fe80::1]:80" : "[fe80::1%16909060]:80");
	}
}

/* No other family is one of TCP's. */
static void from_other_families(void **state)
{
	(void)state;
	for (unsigned int family = 0; family <= 0xffff; family++) {
		union sock_addr addr = {.family = (uint16_t)family};
		const bool known = family == AF_INET || family == AF_INET6;

		assert_int_equal(endpoint_from(&addr, sizeof(addr)).family, known ? family : 0);
	}
}

/* 0.0.0.0 and :: are wildcards, and no other address is; an IPv4 address has 4 bytes. */
static void wildcards(void **state)
{
	struct endpoint four = {.family = AF_INET, .port = 80};
	struct endpoint six = {.family = AF_INET6, .port = 80, .scope = 3};

	(void)state;
	memset(four.addr + 4, 0xff, 12);
	assert_true(endpoint_is_wildcard(&four));
	assert_true(endpoint_is_wildcard(&six));
	for (int bit = 0; bit < 128; bit++) {
		struct endpoint other = {.family = AF_INET6};

		other.addr[bit / 8] = (uint8_t)(1 << bit % 8);
		assert_false(endpoint_is_wildcard(&other));
		other.family = AF_INET;
		assert_int_equal(endpoint_is_wildcard(&other), bit >= 32);
	}
}

static struct endpoint end_of(uint16_t family, const char *addr, uint16_t port, uint32_t scope)
{
	struct endpoint end = {.family = family, .port = port, .scope = scope};

	assert_int_equal(inet_pton(family, addr, end.addr), 1);
	return end;
}

static void loopback(void **state)
{
	static const struct {
		uint16_t family;
		const char *addr;
		bool is;
	} rows[] = {
		{AF_INET, "127.0.0.1", true},
		{AF_INET, "127.255.255.255", true},
		{AF_INET, "126.0.0.1", false},
		{AF_INET, "0.0.0.0", false},
		{AF_INET6, "::1", true},
		{AF_INET6, "::", false},
		{AF_INET6, "::ffff:127.0.0.9", true},
		{AF_INET6, "::ffff:10.0.0.1", false},
		{AF_INET6, "7f00::1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct endpoint end = end_of(rows[i].family, rows[i].addr, 1, 0);

		if (endpoint_is_loopback(&end) != rows[i].is)
			fail_msg("%s", rows[i].addr);
	}
}

static void same(void **state)
{
	const struct endpoint nowhere = {0}, four = end_of(AF_INET, "10.0.0.1", 80, 0);
	const struct endpoint others[] = {
		end_of(AF_INET, "10.0.0.1", 81, 0),	    end_of(AF_INET, "10.0.0.2", 80, 0),
		end_of(AF_INET6, "::ffff:10.0.0.2", 80, 0), end_of(AF_INET6, "::a00:1", 80, 0),
		end_of(AF_INET6, "a00:1::", 80, 0),	    nowhere,
	};
	const struct endpoint mapped = end_of(AF_INET6, "::ffff:10.0.0.1", 80, 0);
	const struct endpoint local2 = end_of(AF_INET6, "fe80::1", 80, 2),
			      local3 = end_of(AF_INET6, "fe80::1", 80, 3),
			      local = end_of(AF_INET6, "fe80::1", 80, 0);

	(void)state;
	assert_true(endpoint_same(&four, &four));
	assert_true(endpoint_same(&four, &mapped) && endpoint_same(&mapped, &four));
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_false(endpoint_same(&four, &others[i]) || endpoint_same(&others[i], &four));
	assert_true(endpoint_same(&local, &local3) && endpoint_same(&local2, &local));
	assert_false(endpoint_same(&local2, &local3));
	assert_false(endpoint_same(&nowhere, &nowhere));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_like_libc),
		cmocka_unit_test(ipv6_like_libc),
		cmocka_unit_test(ipv6_zero_groups),
		cmocka_unit_test(rfc5952),
		cmocka_unit_test(scopes),
		cmocka_unit_test(from_ipv4),
		cmocka_unit_test(from_ipv6),
		cmocka_unit_test(from_other_families),
		cmocka_unit_test(wildcards),
		cmocka_unit_test(loopback),
		cmocka_unit_test(same),
	};

	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
