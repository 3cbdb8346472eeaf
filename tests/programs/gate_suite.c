/* SPDX-License-Identifier: MIT */
/*
 * gate_suite.c - what a gate looks for, on demand: gate_suite WORD…
 *
 *	storm=N      so many sockets, made and closed
 *	threads=N    eight threads with so many each
 *	double       a descriptor is closed twice
 *	unclosed     a connection whose peer has closed is kept; "waiting" is said when it is so
 *	left         both ends of one are left open; reset: one is closed with bytes unread
 *	bind         a bind that fails
 *	refused=N    as many accepts that fail at once, all alike
 *	await        until a byte comes on standard input, or it ends
 *	fork         the rest in a child, which is not waited for
 *	exec         the rest in this program, executed anew
 *	kill         by SIGKILL; status=N: with that
 *
 * The tests look for the lines by what stands behind them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int number_in(const char *word)
{
	const char *sign = strchr(word, '=');

	return sign ? atoi(sign + 1) : 0;
}

static int listener(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		abort();
	return fd;
}

static int client(int to)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* here: client */

	if (getsockname(to, (struct sockaddr *)&at, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&at, len) < 0)
		abort();
	return fd;
}

static void storm(int many)
{
	for (int i = 0; i < many; i++)
		close(socket(AF_INET, SOCK_STREAM, 0));
}

static void *storm_in_thread(void *many)
{
	storm(*(int *)many);
	return NULL;
}

static void threads(int many)
{
	pthread_t all[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&all[i], NULL, storm_in_thread, &many);
	for (int i = 0; i < 8; i++)
		pthread_join(all[i], NULL);
}

static __attribute__((noinline)) void finish(int fd)
{
	close(fd); /* here: first close */
	__asm__ volatile("");
}

static void close_twice(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	finish(fd);
	close(fd); /* here: second close */
}

static void keep_unclosed(void)
{
	const int server = listener(), ours = client(server);
	const int theirs = accept(server, NULL, NULL); /* here: accept */
	unsigned char state = 0;

	close(ours);
	while (state != 8 /* CLOSE_WAIT */) {
		socklen_t len = sizeof(state);

		getsockopt(theirs, IPPROTO_TCP, TCP_INFO, &state, &len);
	}
	close(server);
	puts("waiting");
	fflush(stdout);
}

static void reset(void)
{
	const int server = listener(), ours = client(server);
	const int theirs = accept(server, NULL, NULL);
	char byte = 0;

	if (write(ours, &byte, 1) != 1 || recv(theirs, &byte, 1, MSG_PEEK) != 1)
		abort();
	close(theirs); /* here: reset */
	close(ours);
	close(server);
}

static void left(void)
{
	const int server = listener();

	client(server);
	accept(server, NULL, NULL); /* here: accept and leave */
	close(server);
}

static void fail_to_bind(void)
{
	const int server = listener(), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	getsockname(server, (struct sockaddr *)&at, &len);
	if (bind(fd, (struct sockaddr *)&at, len) == 0) /* here: bind */
		abort();
	close(fd);
	close(server);
}

static void fail_to_accept(int many)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (int i = 0; i < many; i++)
		accept(fd, NULL, NULL);
	close(fd);
}

static void become_anew(char **words)
{
	static char name[] = "gate_suite";

	words[-1] = name;
	execv("/proc/self/exe", words - 1);
	abort();
}

int main(int argc, char **argv)
{
	char byte;

	for (int i = 1; i < argc; i++) {
		char *const word = argv[i];

		if (strncmp(word, "storm=", 6) == 0)
			storm(number_in(word));
		else if (strncmp(word, "threads=", 8) == 0)
			threads(number_in(word));
		else if (strcmp(word, "double") == 0)
			close_twice();
		else if (strcmp(word, "unclosed") == 0)
			keep_unclosed();
		else if (strcmp(word, "left") == 0)
			left();
		else if (strcmp(word, "reset") == 0)
			reset();
		else if (strcmp(word, "bind") == 0)
			fail_to_bind();
		else if (strncmp(word, "refused=", 8) == 0)
			fail_to_accept(number_in(word));
		else if (strcmp(word, "await") == 0)
			(void)!read(0, &byte, 1);
		else if (strcmp(word, "fork") == 0 && fork())
			return 0;
		else if (strcmp(word, "exec") == 0)
			become_anew(argv + i + 1);
		else if (strcmp(word, "kill") == 0)
			raise(SIGKILL);
		else if (strncmp(word, "status=", 7) == 0)
			return number_in(word);
	}
	return 0;
}
