/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - an address with its port: from a sockaddr, to text.
 */
#ifndef FACTS_ENDPOINT_H
#define FACTS_ENDPOINT_H

#include <stddef.h>

#include "facts/out.h"
#include "reuse/event.h"

/* Room for any address of the IP families. Its bytes are what the kernel wrote. */
union sock_addr {
	uint16_t family;
	uint8_t bytes[28]; /* sizeof(struct sockaddr_in6) */
};

/* From the first len bytes of a sockaddr; family 0 where it is none of TCP's. */
struct endpoint endpoint_from(const union sock_addr *addr, size_t len);

/* "127.0.0.1:9999", "[::1]:9999", "[fe80::1%2]:9999"; the scope is the interface's number. */
void out_endpoint(struct out *out, const struct endpoint *end);

/* Is the address 0.0.0.0 or ::, that is any of this machine's? */
bool endpoint_is_wildcard(const struct endpoint *end);

/* The four bytes of IPv4, NULL where it is a native IPv6 address. */
const uint8_t *endpoint_ipv4(const struct endpoint *end);

/* Is it an address that packets do not leave the machine for: 127.0.0.0/8, ::1? */
bool endpoint_is_loopback(const struct endpoint *end);

/* Address and port the same, an IPv4 one also in the form that it has on an IPv6 socket? */
bool endpoint_same(const struct endpoint *a, const struct endpoint *b);

#endif
