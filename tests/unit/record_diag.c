/* SPDX-License-Identifier: MIT */
/*
 * record_diag.c - answers of this kernel's sock_diag, for test_diag_parse: makes
 * sockets on the loopback, asks about them, and writes each datagram of the answer
 * into a file of the folder tests/data. It is no test; run it once by hand:
 *
 *	make build/cc/unit/record_diag && build/cc/unit/record_diag
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/diag_query.h"
#include "observe/tcp_state.h"

enum { SEQ = 1 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int new_listener(int family, int backlog)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr = {0};
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.any.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		addr.in6.sin6_addr = in6addr_loopback;
	if (fd < 0 || bind(fd, &addr.any, sizeof(addr)) < 0 || listen(fd, backlog) < 0)
		die("listener");
	return fd;
}

static int new_connection(int listener, int *ret_server)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd;

	if (getsockname(listener, (void *)&addr, &len) < 0)
		die("getsockname");
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (void *)&addr, len) < 0)
		die("connect");
	*ret_server = accept(listener, NULL, NULL);
	if (*ret_server < 0)
		die("accept");
	return fd;
}

static struct diag_id id_of(int fd)
{
	return (struct diag_id){
		.cookie = sock_cookie(fd),
		.local = sock_local(fd),
		.peer = sock_peer(fd),
		.protocol = IPPROTO_TCP,
	};
}

/* Ask, and write the datagrams of the answer to tests/data/NAME.1.diag and so on. */
static void record(const char *name, const struct diag_query *query, int datagrams)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	static char buf[32768];

	if (fd < 0 || sendto(fd, query, query->header.nlmsg_len, 0, (const void *)&kernel,
			     sizeof(kernel)) < 0)
		die("netlink");
	for (int i = 1; i <= datagrams; i++) {
		char path[128];
		const ssize_t len = recv(fd, buf, sizeof(buf), 0);
		FILE *file;

		snprintf(path, sizeof(path), "tests/data/%s.%d.diag", name, i);
		file = fopen(path, "w");
		if (len < 0 || !file || fwrite(buf, 1, (size_t)len, file) != (size_t)len ||
		    fclose(file) != 0)
			die(path);
		printf("%s: %zd bytes\n", path, len);
	}
	close(fd);
}

int main(void)
{
	const int listener = new_listener(AF_INET, 5), listener6 = new_listener(AF_INET6, 64);
	struct diag_query query;
	struct diag_id id;
	int client, server;

	client = new_connection(listener, &server);
	id = id_of(client);
	diag_query_exact(&query, &id, SEQ);
	record("established", &query, 1);

	close(client);
	close(server);
	diag_query_exact(&query, &id, SEQ);
	record("time_wait", &query, 1);

	id.cookie++;
	diag_query_exact(&query, &id, SEQ);
	record("not_found", &query, 1);

	client = new_connection(listener6, &server);
	id = id_of(server);
	diag_query_exact(&query, &id, SEQ);
	record("established6", &query, 1);

	new_listener(AF_INET, 1);
	new_listener(AF_INET, 128);
	diag_query_dump(&query, IPPROTO_TCP, AF_INET, 0, 1u << TCP_LISTEN, SEQ);
	record("listeners", &query, 2);

	diag_query_dump(&query, 200, AF_INET, 0, ~0u, SEQ);
	record("refused", &query, 1);
	return 0;
}
