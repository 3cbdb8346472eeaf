/* SPDX-License-Identifier: MIT */
/*
 * A vfork child runs in its parent's memory: what it does to its descriptors says nothing about
 * the parent's.
 *
 *	vfork_child PORT
 *
 * The program says no to SO_REUSEADDR on one socket. Its vfork child closes that number, uses it
 * for other sockets, says yes to those, and binds one of its own. Then the parent binds. Printed:
 * SO_REUSEADDR of the parent's socket, and of the child's.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in addr = {.sin_family = AF_INET};
static volatile int of_child;

static int option(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &len);
	return value;
}

static void child(int fd)
{
	int one = 1, own;

	close(fd);
	own = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(own, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	dup2(own, fd);
	dup2(own, 50);
	close(own);
	close(50);
	own = socket(AF_INET, SOCK_STREAM, 0);
	bind(own, (struct sockaddr *)&addr, sizeof(addr));
	of_child = option(own);
	listen(own, 1);
	shutdown(own, SHUT_RD);
	close(own);
	_exit(0);
}

int main(int argc, char **argv)
{
	int zero = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((in_port_t)(argc > 1 ? atoi(argv[1]) : 0));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof(zero));

	pid = vfork();
	if (pid == 0)
		child(fd);
	waitpid(pid, NULL, 0);

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		perror("bind");
	listen(fd, 1);
	printf("%d %d\n", option(fd), of_child);
	close(fd);
	return 0;
}
