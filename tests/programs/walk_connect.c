/* SPDX-License-Identifier: MIT */
/* connect(): wrong descriptors, lengths, pointers and addresses, and connections of all kinds. */
#include "walk.h"

static const struct sockaddr *as_addr(const void *p)
{
	return p;
}

static void wrong_descriptors(void)
{
	struct others o = others();
	struct sockaddr_in addr = loopback(1);

#define ONE(name, fd) TELL_AS("connect of " name, connect(fd, as_addr(&addr), sizeof(addr)))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("connect to NULL of " name, connect(fd, NULL, sizeof(addr)))
	WITH_OTHERS(o, ONE);
#undef ONE
}

static void lengths(void)
{
	static const long lens[] = {-1, 0, 1, 2, 3, 4, 8, 15, 16, 17, 28, 127, 128, 129, INT32_MAX};
	char what[80];

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct sockaddr_in addr = loopback(1); /* tcpmux: nobody listens */
		int fd = tcp();

		snprintf(what, sizeof(what), "connect, 16 bytes, length %ld", lens[i]);
		TELL_AS(what,
			connect(fd, as_addr(tail_copy(&addr, sizeof(addr))), (socklen_t)lens[i]));
		close(fd);
	}
}

static void pointers(void)
{
	int fd = tcp();

	TELL_AS("connect NULL", connect(fd, NULL, 16));
	TELL_AS("connect NULL 0", connect(fd, NULL, 0));
	TELL_AS("connect unmapped", connect(fd, as_addr(unmapped()), 16));
	TELL_AS("connect kernel", connect(fd, as_addr((void *)(UINTPTR_MAX - 64)), 16));
	TELL_AS("connect short", connect(fd, as_addr(tail_alloc(8)), 16));
	close(fd);
}

static void connections(void)
{
	struct sockaddr_in refused = loopback(1), addr;
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int l = listener(), fd = tcp(), error;
	socklen_t len = sizeof(error);

	addr = name_of(l);
	TELL_AS("connect refused", connect(fd, as_addr(&refused), sizeof(refused)));
	TELL_AS("connect refused again", connect(fd, as_addr(&refused), sizeof(refused)));
	TELL_AS("connect after that", connect(fd, as_addr(&addr), sizeof(addr)));
	TELL_AS("connect when connected", connect(fd, as_addr(&addr), sizeof(addr)));
	TELL_AS("disconnect", connect(fd, &none, sizeof(none)));
	TELL_AS("connect anew", connect(fd, as_addr(&addr), sizeof(addr)));
	TELL_AS("connect an IPv6 address", connect(fd, as_addr(&six), sizeof(six)));
	close(fd);
	TELL_AS("connect a listener", connect(l, as_addr(&addr), sizeof(addr)));

	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	TELL_AS("connect without waiting", connect(fd, as_addr(&addr), sizeof(addr)));
	must(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 5000) == 1 ? 0 : -1);
	TELL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("SO_ERROR %d\n", error);
	TELL_AS("connect again", connect(fd, as_addr(&addr), sizeof(addr)));
	close(fd);

	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	TELL_AS("refused without waiting", connect(fd, as_addr(&refused), sizeof(refused)));
	must(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 5000) == 1 ? 0 : -1);
	TELL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("SO_ERROR %d\n", error);
	TELL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	printf("SO_ERROR %d, taken\n", error);
	close(fd);

	close(l);
}

/* The error that a connection ends with is the program's: nobody else may read it. */
static void reset_by_the_peer(void)
{
	struct linger reset = {1, 0};
	int ends[2], one = 1, copy;
	char byte;

	connection(ends);
	must(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(ends[1]);
	await_input(ends[0]);
	TELL(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	TELL(shutdown(ends[0], SHUT_WR));
	copy = dup(ends[0]);
	close(copy);
	TELL(recv(ends[0], &byte, 1, 0));
	TELL(recv(ends[0], &byte, 1, 0));
	TELL(close(ends[0]));
}

int main(void)
{
	wrong_descriptors();
	lengths();
	pointers();
	connections();
	reset_by_the_peer();
	return 0;
}
