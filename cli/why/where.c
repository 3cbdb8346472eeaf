/* SPDX-License-Identifier: MIT */
/*
 * where.c - see where.h. Names are looked up as every program does it (/etc/services,
 * /etc/hosts, the network's names), numbers are not.
 */
#include "why/where.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* From 1 to 65535, or the name of a service; 0 where it is neither. */
static uint16_t parse_port(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	const struct servent *service;
	unsigned long port;

	if (digits && !text[digits]) {
		port = strtoul(text, NULL, 10);
		return port <= 65535 ? (uint16_t)port : 0;
	}
	service = *text ? getservbyname(text, "tcp") : NULL;
	return service ? ntohs((uint16_t)service->s_port) : 0;
}

/* The interface behind a %, by name or number; 0 where there is none. */
static uint32_t parse_scope(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	char name[IF_NAMESIZE];
	const unsigned long number = strtoul(text, NULL, 10);

	if (digits && !text[digits] && number <= UINT32_MAX)
		return if_indextoname((unsigned int)number, name) ? (uint32_t)number : 0;
	return if_nametoindex(text);
}

/* What stands between brackets. */
static bool parse_v6(struct endpoint *at, char *host, struct out *wrong)
{
	char *scope = strchr(host, '%');

	if (scope)
		*scope++ = '\0';
	at->family = AF_INET6;
	if (inet_pton(AF_INET6, host, at->addr) != 1) {
		out_str(wrong, host);
		out_str(wrong, " is no IPv6 address");
		return false;
	}
	at->scope = scope ? parse_scope(scope) : 0;
	if (scope && !at->scope) {
		out_str(wrong, "there is no interface ");
		out_str(wrong, scope);
	}
	return !scope || at->scope;
}

static struct endpoint endpoint_of(const struct sockaddr *addr, uint16_t port)
{
	struct endpoint at = {.family = addr->sa_family, .port = port};

	if (addr->sa_family == AF_INET) {
		memcpy(at.addr, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
	} else {
		const struct sockaddr_in6 *in6 = (const void *)addr;

		memcpy(at.addr, &in6->sin6_addr, 16);
		at.scope = in6->sin6_scope_id;
	}
	return at;
}

static bool look_up(struct where *ret, const char *host, struct out *wrong)
{
	const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	const uint16_t port = ret->at[0].port;
	struct addrinfo *found;
	const int rc = getaddrinfo(host, NULL, &wanted, &found);

	if (rc) {
		out_str(wrong, host);
		out_str(wrong, ": ");
		out_str(wrong, gai_strerror(rc));
		return false;
	}
	ret->count = 0;
	for (struct addrinfo *one = found; one && ret->count < WHERE_MOST; one = one->ai_next)
		if (one->ai_family == AF_INET || one->ai_family == AF_INET6)
			ret->at[ret->count++] = endpoint_of(one->ai_addr, port);
	freeaddrinfo(found);
	return ret->count > 0;
}

/* The host is the first len bytes of text, which goes on with a colon and the port. */
static bool parse_host(struct where *ret, const char *text, size_t len, struct out *wrong)
{
	char host[256];
	struct in_addr v4;
	struct in6_addr v6;

	if (len >= sizeof(host)) {
		out_str(wrong, "this is too long for a name");
		return false;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (!len || strcmp(host, "*") == 0)
		return true;
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		return parse_v6(&ret->at[0], host + 1, wrong);
	}
	if (strchr(host, ':')) {
		out_str(wrong, "an IPv6 address stands in brackets");
		if (inet_pton(AF_INET6, host, &v6) == 1) {
			out_str(wrong, ", [");
			out_str(wrong, host);
			out_str(wrong, "]");
			out_str(wrong, text + len);
		}
		return false;
	}
	/* To getaddrinfo 1.2 would be 1.0.0.2. */
	if (!host[strspn(host, "0123456789.")] && inet_pton(AF_INET, host, &v4) != 1) {
		out_str(wrong, host);
		out_str(wrong, " is no IPv4 address");
		return false;
	}
	return look_up(ret, host, wrong);
}

bool where_parse(struct where *ret, const char *text, struct out *wrong)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	struct in_addr v4;
	struct in6_addr v6;

	*ret = (struct where){.count = 1};
	if (inet_pton(AF_INET, text, &v4) == 1) {
		out_str(wrong, "a port is missing behind the address");
		return false;
	}
	ret->at[0].port = parse_port(port);
	if (!ret->at[0].port && inet_pton(AF_INET6, text, &v6) == 1) {
		out_str(wrong, "an IPv6 address stands in brackets, with a port behind it");
		return false;
	}
	if (!ret->at[0].port) {
		out_mem(wrong, port, strnlen(port, 100));
		out_str(wrong, *port ? " is no port and no service" : "a port is missing");
		return false;
	}
	return !colon || parse_host(ret, text, (size_t)(colon - text), wrong);
}
