/* SPDX-License-Identifier: MIT */
/*
 * churn.c - many connections, or many descriptors.
 *
 *	churn serve          a server: says its port, accepts and closes connections for ever
 *	churn call PORT N    N connections to it, one after another
 *	churn hold N         N descriptors of one listener at the same time, closed again; says
 *before, between and after how much memory it has: "before|held|after KILOBYTES" churn high FD a
 *socket on that number
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "churn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int listener(int *ret_port)
{
	struct sockaddr_in name = loopback(0);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(name);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, len) < 0 || listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		fail("a listener");
	*ret_port = ntohs(name.sin_port);
	return fd;
}

static void serve(void)
{
	int port;
	const int from = listener(&port);

	printf("%d\n", port);
	fflush(stdout);
	for (;;) {
		const int fd = accept(from, NULL, NULL);

		if (fd < 0)
			fail("accept");
		close(fd);
	}
}

/* Each ends with a reset, so that no TIME_WAIT keeps its port. */
static void call(int port, long n)
{
	static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	const struct sockaddr_in name = loopback(port);

	for (long i = 0; i < n; i++) {
		const int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
			fail("connect");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
	}
}

static long memory_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "VmData:", 7) == 0)
			kb = atol(line + 7);
	if (status)
		fclose(status);
	return kb;
}

static void allow(long n)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)n) {
		limit.rlim_cur = (rlim_t)n;
		if (limit.rlim_max < (rlim_t)n)
			limit.rlim_max = (rlim_t)n;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			exit(77);
	}
}

static void hold(long n)
{
	int port, last = 0;
	const int from = listener(&port);

	allow(n + 64);
	printf("before %ld\n", memory_kb());
	for (long i = 0; i < n; i++)
		if ((last = dup(from)) < 0)
			fail("dup");
	printf("held %ld\n", memory_kb());
	for (; last > from; last--)
		close(last);
	printf("after %ld\n", memory_kb());
}

static void high(int onto)
{
	int port;
	const int from = listener(&port);

	allow(onto + 1);
	printf("before %ld\n", memory_kb());
	if (dup2(from, onto) != onto)
		fail("dup2");
	printf("held %ld\n", memory_kb());
	close(onto);
	printf("after %ld\n", memory_kb());
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "serve") == 0)
		serve();
	else if (strcmp(what, "call") == 0 && argc == 4)
		call(atoi(argv[2]), atol(argv[3]));
	else if (strcmp(what, "hold") == 0 && argc == 3)
		hold(atol(argv[2]));
	else if (strcmp(what, "high") == 0 && argc == 3)
		high(atoi(argv[2]));
	else
		return 2;
	return 0;
}
