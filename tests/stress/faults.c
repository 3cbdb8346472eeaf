/* SPDX-License-Identifier: MIT */
/*
 * A story of socket calls, of one thread, the same in each run. It prints what each call answered.
 * Whatever the kernel refuses to the shim meanwhile, the answers stay the same.
 *
 *	faults PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a call answered, with errno also where it worked. */
static int say(const char *call, int rc)
{
	printf("%s = %d, errno %d\n", call, rc, errno);
	errno = 0;
	return rc;
}

#define SAY(call) say(#call, call)

static struct sockaddr_in at(const char *host, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};

	inet_pton(AF_INET, host, &addr.sin_addr);
	return addr;
}

#define ADDR(addr) (struct sockaddr *)&(addr), sizeof(addr)

/* Until what the other end has done has arrived. */
static void await(int fd)
{
	struct pollfd poll_it = {.fd = fd, .events = POLLIN | POLLRDHUP};

	poll(&poll_it, 1, 5000);
	errno = 0;
}

/* The one that closes first, then the other. */
static void orderly(int first, int second)
{
	char byte;

	SAY(shutdown(first, SHUT_WR));
	await(second);
	SAY((int)read(second, &byte, 1));
	SAY(close(second));
	await(first);
	SAY(close(first));
}

static void with_unread_bytes(int writer, int closer)
{
	SAY((int)write(writer, "hello", 5));
	await(closer);
	SAY(close(closer));
	await(writer);
	SAY(close(writer));
}

static void with_copies(int one, int other)
{
	int copy = SAY(dup(one));

	SAY(fcntl(other, F_DUPFD_CLOEXEC, 20));
	SAY(close(one));
	SAY(dup2(other, copy));
	SAY(close_range(20, 25, 0));
	SAY(close(other));
	SAY(close(copy));
}

static void connections(int listener, struct sockaddr_in *addr)
{
	static void (*const ends[])(int, int) = {orderly, with_unread_bytes, with_copies};

	for (int i = 0; i < 3; i++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		int error = -1, ours, theirs = SAY(socket(AF_INET, SOCK_STREAM, 0));

		SAY(connect(theirs, ADDR(*addr)));
		ours = SAY(accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC));
		len = sizeof(error);
		SAY(getsockopt(theirs, SOL_SOCKET, SO_ERROR, &error, &len));
		SAY(error);
		ends[i](theirs, ours);
	}
}

/* Calls that fail, and are explained. */
static void failures(int listener, struct sockaddr_in *addr)
{
	struct sockaddr_in far = at("203.0.113.9", ntohs(addr->sin_port));
	struct sockaddr_in nobody = at("127.0.0.2", ntohs(addr->sin_port));
	int fd = SAY(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SAY(bind(fd, ADDR(*addr)));
	SAY(bind(fd, ADDR(far)));
	SAY(bind(fd, NULL, sizeof(far)));
	SAY(connect(fd, ADDR(nobody)));
	SAY(accept(fd, NULL, NULL));
	SAY(close(fd));
	SAY(close(fd));
	SAY(close(listener));
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = at("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0);
	int one = 1, listener = SAY(socket(AF_INET, SOCK_STREAM, 0));

	SAY(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	SAY(bind(listener, ADDR(addr)));
	SAY(listen(listener, 16));
	connections(listener, &addr);
	failures(listener, &addr);
	/* What was lost until here, these can tell. The lowest number is the program's own. */
	for (int i = 0; i < 3; i++)
		SAY(close(SAY(socket(AF_INET, SOCK_STREAM, 0))));
	SAY(close(SAY(dup(0))));
	return 0;
}
