/* SPDX-License-Identifier: MIT */
/*
 * Sockets that change behind the shim's back: closed and made by system call instructions of the
 * program's own. The numbers are used again; each call after that is about another socket.
 *
 * It prints the cookie of the socket that each of its last calls is about.
 */
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

static void told(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	printf("%llu\n", (unsigned long long)cookie);
}

int main(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int zero = 0, fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	/* The program says no to the option on this socket … */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		return 2;

	/* … and this is another one, of the same number. */
	raw(SYS_close, fd, 0, 0);
	if (raw(SYS_socket, AF_INET, SOCK_STREAM, 0) != fd)
		return 3;
	told(fd);
	if (shutdown(fd, SHUT_WR) == 0)
		return 4;

	/* Now the number is no TCP socket at all, then none, and then a TCP socket once more. */
	raw(SYS_close, fd, 0, 0);
	if (raw(SYS_socket, AF_INET, SOCK_DGRAM, 0) != fd)
		return 5;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &zero, sizeof(zero));
	raw(SYS_close, fd, 0, 0);
	listen(fd, 1);
	if (raw(SYS_socket, AF_INET, SOCK_STREAM, 0) != fd)
		return 6;
	told(fd);
	listen(fd, 1);
	close(fd);
	return 0;
}
