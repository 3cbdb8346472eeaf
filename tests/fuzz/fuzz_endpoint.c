/* SPDX-License-Identifier: MIT */
/*
 * fuzz_endpoint.c - any bytes as a sockaddr: what is told of it is the same address as libc's
 * reading of the text.
 */
#include "facts/endpoint.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void check(const struct endpoint *end, char *text)
{
	char *colon = strrchr(text, ':');
	unsigned char addr[16] = {0};
	char *address = text, *percent;

	HOLDS(colon);
	HOLDS(atoi(colon + 1) == end->port);
	*colon = '\0';
	if (end->family == AF_INET6) {
		HOLDS(text[0] == '[' && colon[-1] == ']');
		colon[-1] = '\0';
		address++;
		percent = strchr(address, '%');
		HOLDS(!percent == !end->scope);
		if (percent) {
			HOLDS(strtoul(percent + 1, NULL, 10) == end->scope);
			*percent = '\0';
		}
	}
	HOLDS(inet_pton(end->family, address, addr) == 1);
	HOLDS(memcmp(addr, end->addr, end->family == AF_INET ? 4 : 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union sock_addr addr = {0};
	char text[128];
	struct out out = out_into(text, sizeof(text) - 1);
	struct endpoint end;

	if (size > sizeof(addr))
		size = sizeof(addr);
	if (size)
		memcpy(&addr, data, size);
	end = endpoint_from(&addr, size);
	HOLDS(end.family == 0 || end.family == AF_INET || end.family == AF_INET6);
	if (!end.family)
		return 0;
	out_endpoint(&out, &end);
	HOLDS(!out.truncated);
	*out.at = '\0';
	check(&end, text);
	return 0;
}
