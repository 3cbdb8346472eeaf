/* SPDX-License-Identifier: MIT */
/*
 * fleet.c - a busy program of a fleet: connections that end well, by a reset, or in CLOSE_WAIT,
 * binds to a port that is taken, connects to one that nobody has.
 *
 *	fleet CALLS LEAKS PAUSE_US
 *
 * CALLS calls on TCP sockets, of which each makes one event; it ends with LEAKS connections that
 * were never closed, and stands still for PAUSE_US after each round of calls.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static long calls;

/* Each call is counted here, and what it should come to is checked. */
static int made(int result, int error, const char *what)
{
	calls++;
	if (error ? result < 0 && errno == error : result >= 0)
		return result;
	perror(what);
	exit(1);
}

static int tcp(void)
{
	return made(socket(AF_INET, SOCK_STREAM, 0), 0, "socket");
}

static void end(int fd)
{
	made(close(fd), 0, "close");
}

static struct sockaddr_in addr = {.sin_family = AF_INET};

static int listener(void)
{
	socklen_t len = sizeof(addr);
	const int fd = tcp();

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	made(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0, "bind");
	made(listen(fd, 5), 0, "listen");
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		exit(1);
	return fd;
}

static void connected(int l, int *ret_client, int *ret_server)
{
	*ret_client = tcp();
	made(connect(*ret_client, (struct sockaddr *)&addr, sizeof(addr)), 0, "connect");
	*ret_server = made(accept(l, NULL, NULL), 0, "accept");
}

static void ends_well(int l)
{
	int client, server;

	connected(l, &client, &server);
	end(client);
	end(server);
}

/* A byte that was not read makes a reset of the close. */
static void is_reset(int l)
{
	int client, server;

	connected(l, &client, &server);
	if (write(client, "x", 1) != 1)
		exit(1);
	end(server);
	end(client);
}

/* The client never learns of it. */
static void is_reset_unseen(int l)
{
	int client, server;

	connected(l, &client, &server);
	if (write(client, "x", 1) != 1)
		exit(1);
	end(server);
}

static void leaks(int l)
{
	int client, server;

	connected(l, &client, &server);
	end(client);
}

static void bind_fails(int l)
{
	const int fd = tcp();

	(void)l;
	made(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), EADDRINUSE, "bind");
	end(fd);
}

/* Another port each time: failures that are alike are told by one event. */
static void is_refused(int l)
{
	static uint16_t ports;
	struct sockaddr_in nobody = addr;
	const int fd = tcp();

	(void)l;
	nobody.sin_port = htons((uint16_t)(1 + ports++ % 512));
	made(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)), ECONNREFUSED, "connect");
	end(fd);
}

int main(int argc, char **argv)
{
	static void (*const rounds[])(int) = {ends_well, ends_well, is_reset, bind_fails,
					      is_refused};
	enum { ROUNDS = sizeof(rounds) / sizeof(rounds[0]), LONGEST = 5 };
	const int on = 1;
	long most, left_open, pause_us;
	int l;

	if (argc != 4) {
		fprintf(stderr, "usage: fleet CALLS LEAKS PAUSE_US\n");
		return 2;
	}
	most = atol(argv[1]);
	left_open = atol(argv[2]);
	pause_us = atol(argv[3]);

	l = listener();
	for (long i = 0; calls + LONGEST <= most; i++) {
		if (i < left_open)
			leaks(l);
		else if (i == left_open)
			is_reset_unseen(l);
		else
			rounds[i % ROUNDS](l);
		if (pause_us)
			usleep((useconds_t)pause_us);
	}
	while (calls < most)
		made(setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0, "setsockopt");
	return 0;
}
