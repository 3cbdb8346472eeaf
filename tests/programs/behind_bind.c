/* SPDX-License-Identifier: MIT */
/*
 * Binds, to the port of argv[1], of numbers that have become other sockets by system call
 * instructions of the program's own: one of UDP, and then one of TCP, whose cookie it prints.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

/* The number of a TCP socket that the shim knows, and that is another one now. */
static int replaced(int type)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	raw(SYS_close, fd, 0, 0);
	if (raw(SYS_socket, AF_INET, type, 0) != fd)
		exit(2);
	return fd;
}

static void bind_to(int fd, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		exit(3);
}

int main(int argc, char **argv)
{
	const int port = argc > 1 ? atoi(argv[1]) : 0;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd;

	bind_to(replaced(SOCK_DGRAM), 0);
	bind_to(replaced(SOCK_DGRAM), port);
	for (int i = 0; i < 2; i++) {
		fd = replaced(SOCK_STREAM);
		bind_to(fd, i * port);
		getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
		printf("%llu\n", (unsigned long long)cookie);
	}
	return 0;
}
