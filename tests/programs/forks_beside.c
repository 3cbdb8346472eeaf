/* SPDX-License-Identifier: MIT */
/*
 * Forks, while other threads do something of which the shim asks the kernel.
 *
 *	forks_beside bind|range|close TIMES
 *
 * Prints how many of the children had a descriptor that the program has never opened, and
 * what it was.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, LOW = 200 };

static struct sockaddr_in addr = {.sin_family = AF_INET};
static int listener;
static _Atomic(int) turns, begun; /* begun: of how many threads */

/* Refused: the port has a listener. */
static void bind_again(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
}

/* A range in which nothing is. */
static void close_a_range(void)
{
	close_range(LOW, LOW + 10, 0);
}

static void close_a_connection(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	close(accept(listener, NULL, NULL));
	close(fd);
}

static void *work(void *arg)
{
	void (*const *step)(void) = arg;

	for (int i = 0;; i++) {
		(*step)();
		atomic_fetch_add(&turns, 1);
		if (i == 0)
			atomic_fetch_add(&begun, 1);
	}
	return NULL;
}

/* Below LOW: a socket that is no TCP socket, or something in /proc. */
static int find_foreign(char *ret, size_t size)
{
	for (int fd = 0; fd < LOW; fd++) {
		char path[40];
		int domain = 0;
		socklen_t len = sizeof(domain);
		ssize_t got;

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		    domain == AF_NETLINK) {
			snprintf(ret, size, "%d: netlink", fd);
			return 1;
		}
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		got = readlink(path, ret, size - 1);
		if (got > 0 && strncmp(ret, "/proc", 5) == 0) {
			ret[got] = '\0';
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*step)(void);
	} ways[] = {{"bind", bind_again}, {"range", close_a_range}, {"close", close_a_connection}};
	static void (*step)(void);
	socklen_t len = sizeof(addr);
	int found = 0;
	char what[200] = "";

	for (size_t i = 0; argc == 3 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			step = ways[i].step;
	if (!step)
		return 2;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 64) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		return 2;
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, work, &step))
			return 2;
	}
	while (atomic_load(&begun) < THREADS)
		usleep(1000);
	for (int i = 0; i < atoi(argv[2]); i++) {
		const int before = atomic_load(&turns);
		int said[2], status;
		pid_t child;

		if (pipe(said) || (child = fork()) < 0)
			return 2;
		if (child == 0) {
			const int any = find_foreign(what, sizeof(what));

			if (any && write(said[1], what, strlen(what)) < 0)
				_exit(2);
			_exit(any);
		}
		waitpid(child, &status, 0);
		if (status) {
			found++;
			what[read(said[0], what, sizeof(what) - 1)] = '\0';
		}
		close(said[0]);
		close(said[1]);
		while (atomic_load(&turns) == before)
			usleep(10);
	}
	printf("%d %s\n", found, what);
	fflush(stdout);
	_exit(0);
}
