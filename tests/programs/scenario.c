/* SPDX-License-Identifier: MIT */
/*
 * scenario.c - the ends of connections, and calls that fail, for a program of any word size and any
 * libc. It says by which port of the client's a connection is left in TIME_WAIT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static int tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	need(fd >= 0, "socket");
	return fd;
}

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	need(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	return addr;
}

static int listener(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = tcp();

	need(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
	need(listen(fd, 5) == 0, "listen");
	return fd;
}

static void connection(int l, int *ret_client, int *ret_accepted)
{
	struct sockaddr_in addr = name_of(l);

	*ret_client = tcp();
	need(connect(*ret_client, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");
	*ret_accepted = accept(l, NULL, NULL);
	need(*ret_accepted >= 0, "accept");
}

/* The client goes through FIN_WAIT_2 to TIME_WAIT, the other end through CLOSE_WAIT. */
static void client_ends_first(int l)
{
	int c, a;
	char byte;

	connection(l, &c, &a);
	need(shutdown(c, SHUT_WR) == 0, "shutdown");
	need(read(a, &byte, 1) == 0, "read");
	need(close(a) == 0, "close");
	need(read(c, &byte, 1) == 0, "read");
	printf("%u\n", ntohs(name_of(c).sin_port));
	need(close(c) == 0, "close");
}

static void reset(int l)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int c, a;

	connection(l, &c, &a);
	need(setsockopt(a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0, "SO_LINGER");
	need(close(a) == 0, "close");
	need(close(c) == 0, "close");
}

static void failures(int l)
{
	struct sockaddr_in addr = name_of(l);
	int other = tcp();

	need(bind(other, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == EADDRINUSE,
	     "a second bind");
	need(close(l) == 0, "close");
	need(connect(other, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED,
	     "a connect to nobody");
	need(close(other) == 0, "close");
	need(close(other) < 0 && errno == EBADF, "a second close");
}

/* As some programs do, and where there is one number for all of them, by that. */
static void by_number(void)
{
#ifdef SYS_socketcall
	const long made[] = {AF_INET, SOCK_STREAM, 0};
	const int fd = (int)syscall(SYS_socketcall, 1, made); /* SYS_SOCKET in linux/net.h */
	const long listens[] = {fd, 5};

	need(fd >= 0 && syscall(SYS_socketcall, 4, listens) == 0, "socketcall");
	need(syscall(SYS_socketcall, 4, 8) < 0 && errno == EFAULT, "socketcall, nowhere");
#else
	const int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	need(fd >= 0 && syscall(SYS_listen, fd, 5) == 0, "by number");
#endif
	need(syscall(SYS_close, fd) == 0, "by number");
}

int main(void)
{
	int l = listener();

	client_ends_first(l);
	reset(l);
	failures(l);
	by_number();
	return 0;
}
