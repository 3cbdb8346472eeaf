/* SPDX-License-Identifier: MIT */
/*
 * Every call that the shim knows, on sockets and other things, after a mark that strace can see.
 *
 * Without a log, the system calls of this program are the same with the shim and without, but for
 * those before a bind. The port to bind is the argument.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in addr = {.sin_family = AF_INET};

/* A system call that nothing else makes. */
static void mark(void)
{
	syscall(SYS_getpriority, 77, 77);
}

static int on_port(int fd, int port)
{
	addr.sin_port = htons((in_port_t)port);
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr));
}

static void tcp(int port)
{
	socklen_t len = sizeof(addr);
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0), c, a, d;

	on_port(l, port);
	listen(l, 5);
	c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	connect(c, (struct sockaddr *)&addr, len);
	a = accept(l, NULL, NULL);
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&addr, len);
	close(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	len = sizeof(one);
	getsockopt(c, SOL_SOCKET, SO_ERROR, &one, &len);
	d = dup(a);
	dup2(d, 50);
	dup3(d, 51, O_CLOEXEC);
	fcntl(d, F_DUPFD, 52);
	fcntl(d, F_GETFD);
	dup2(0, 51);
	shutdown(a, SHUT_WR);
	shutdown(l, SHUT_RD);
	close(d);
	fclose(fdopen(50, "r"));
	syscall(SYS_close, a);
	close(999);
#if __GLIBC_PREREQ(2, 34)
	close_range(51, 52, 0);
	closefrom(c);
#else
	close(c);
#endif
	close(l);
}

static void others(void)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	int fd = socket(AF_INET, SOCK_STREAM, 0), ends[2], one = 1;

	on_port(fd, 0);
	listen(fd, 1);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	on_port(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	dup2(fd, 60);
	close(60);
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(fd, (struct sockaddr *)&path, sizeof(path.sun_family));
	listen(fd, 1);
	close(fd);
	bind(0, (struct sockaddr *)&addr, sizeof(addr));
	if (pipe(ends) == 0) {
		close(ends[0]);
		close(ends[1]);
	}
	listen(-1, 0);
	close(-1);
}

int main(int argc, char **argv)
{
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	mark();
	tcp(argc > 1 ? atoi(argv[1]) : 0);
	others();
	mark();
	return 0;
}
