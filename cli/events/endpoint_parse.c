/* SPDX-License-Identifier: MIT */
/*
 * endpoint_parse.c - see endpoint_parse.h.
 */
#include "events/endpoint_parse.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "events/decimal.h"

/* Up to "]:", with a % and the interface's number before it where there is one. */
static const char *parse_v6(char *text, struct endpoint *end)
{
	char *close = strstr(text, "]:"), *percent = strchr(text, '%');
	uint64_t scope = 0;

	if (!close)
		return NULL;
	*close = '\0';
	if (percent) {
		*percent = '\0';
		if (!decimal(percent + 1, UINT32_MAX, &scope) || !scope)
			return NULL;
	}
	end->family = AF_INET6;
	end->scope = (uint32_t)scope;
	return inet_pton(AF_INET6, text, end->addr) == 1 ? close + 2 : NULL;
}

static const char *parse_v4(char *text, struct endpoint *end)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	end->family = AF_INET;
	return inet_pton(AF_INET, text, end->addr) == 1 ? colon + 1 : NULL;
}

bool endpoint_parse(const char *text, struct endpoint *ret)
{
	char copy[INET6_ADDRSTRLEN + sizeof("[%4294967295]:65535")];
	const size_t len = strlen(text);
	struct endpoint end = {0};
	const char *behind;
	uint64_t port;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len + 1);
	behind = copy[0] == '[' ? parse_v6(copy + 1, &end) : parse_v4(copy, &end);
	if (!behind || !decimal(behind, UINT16_MAX, &port))
		return false;
	end.port = (uint16_t)port;
	*ret = end;
	return true;
}
