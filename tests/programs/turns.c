/* SPDX-License-Identifier: MIT */
/*
 * A work, so many turns of it between two getpriority(), which nothing else calls. What comes
 * before them is that of the first turns.
 *
 *	turns setsockopt TIMES	TCP_NODELAY on a socket
 *	turns life TIMES	socket, bind to a port, listen, close
 *	turns accepted TIMES	accept and close; its peer is made by system call instructions
 *	turns copied TIMES	dup and close of a pipe's end
 *
 * With a third argument so many other sockets are open beside. Prints how many milliseconds the
 * turns took.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"

static struct sockaddr_in addr = {.sin_family = AF_INET};
static int fd, ends[2];

static void need(long ok)
{
	if (!ok)
		exit(1);
}

static int bound(void)
{
	const int new = socket(AF_INET, SOCK_STREAM, 0);

	need(new >= 0 && bind(new, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return new;
}

/* On a port that is known from then on. */
static void begin(void)
{
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = bound();
	need(getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && pipe(ends) == 0);
}

static void turn_setsockopt(void)
{
	static const int on = 1;

	need(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
}

static void turn_life(void)
{
	int new;

	if (fd >= 0)
		close(fd);
	fd = -1;
	new = bound();
	need(listen(new, 8) == 0);
	close(new);
}

static void turn_accepted(void)
{
	const long client = raw(SYS_socket, AF_INET, SOCK_STREAM, 0);
	int new;

	need(client >= 0 && raw(SYS_connect, client, (long)&addr, sizeof(addr)) == 0);
	new = accept(fd, NULL, NULL);
	need(new >= 0);
	raw(SYS_close, client, 0, 0);
	close(new);
}

static void turn_copied(void)
{
	const int copy = dup(ends[0]);

	need(copy >= 0);
	close(copy);
}

static const struct work {
	const char *name;
	void (*turn)(void);
} works[] = {
	{"setsockopt", turn_setsockopt},
	{"life", turn_life},
	{"accepted", turn_accepted},
	{"copied", turn_copied},
};

static const struct work *work_named(const char *name)
{
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (strcmp(works[i].name, name) == 0)
			return &works[i];
	exit(2);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	const struct work *work = work_named(argc > 1 ? argv[1] : "");
	const long times = argc > 2 ? atol(argv[2]) : 1, others = argc > 3 ? atol(argv[3]) : 0;
	long began;

	begin();
	need(work->turn != turn_accepted || listen(fd, 8) == 0);
	for (long i = 0; i < others; i++)
		need(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	for (int i = 0; i < 3; i++)
		work->turn();
	began = now_ms();
	getpriority(PRIO_PROCESS, 0);
	for (long i = 0; i < times; i++)
		work->turn();
	getpriority(PRIO_PROCESS, 0);
	printf("%ld\n", now_ms() - began);
	return 0;
}
