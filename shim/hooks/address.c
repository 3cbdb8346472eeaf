/* SPDX-License-Identifier: MIT */
/*
 * address.c - see address.h.
 */
#include "hooks/address.h"

#include "facts/endpoint.h"

struct endpoint address_read(const struct sockaddr *addr, socklen_t len)
{
	union sock_addr copy = {0};
	const uint32_t take = len < sizeof(copy) ? len : (uint32_t)sizeof(copy);

	if (len > sizeof(struct sockaddr_storage) || sys_peek(&copy, addr, take) < 0)
		return (struct endpoint){0};
	return endpoint_from(&copy, take);
}

struct endpoint address_written(const struct sockaddr *addr, const socklen_t *len)
{
	socklen_t given;

	if (!addr || sys_peek(&given, len, sizeof(given)) < 0)
		return (struct endpoint){0};
	return address_read(addr, given);
}
