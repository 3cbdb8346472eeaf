/* SPDX-License-Identifier: MIT */
/*
 * The demo client: does to a connection what it is told, one step after the other.
 *
 *	client PORT STEP...	connects to 127.0.0.1:PORT, then
 *
 *	ask	send a line
 *	answer	read that line back from the echo server
 *	say	ask, then answer
 *	end	read until the server has nothing more to say
 *	shut-rd shut-wr		shutdown(SHUT_RD), shutdown(SHUT_WR)
 *	dup	make a second descriptor of the connection
 *	close	close one descriptor, the oldest first
 *	pause	wait for SIGUSR1
 *
 * The story needs somebody at the other end who keeps still while the server is killed, and who
 * can do the three things that people mean by "closing": shutdown for reading, shutdown for
 * writing, and close. Tutorials mix them up, often in the words "close() half-closes the
 * connection". It does not, and the way to see that is to ask the same question three times,
 * with one call changed. Each step says in a line what came of it; the first that fails is the
 * last, and the exit status is then 1. An alarm ends a client that somebody forgot.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIFETIME_SECONDS 60
#define QUESTION_LEN (sizeof(question) - 1)

static const char question[] = "hello\n";

/* The descriptors of our one connection, the oldest first. */
struct connection {
	int fds[2];
	int count;
};

struct step {
	const char *name;
	bool (*run)(struct connection *conn);
};

/* Tell what failed and why. Always false, for the caller to return. */
static bool fail(const char *what)
{
	printf("client: %s: %s\n", what, strerror(errno));
	return false;
}

static ssize_t read_some(int fd, char *buf, size_t size)
{
	ssize_t count;

	do
		count = recv(fd, buf, size, 0);
	while (count < 0 && errno == EINTR);
	return count;
}

static bool step_ask(struct connection *conn)
{
	size_t sent = 0;

	while (sent < QUESTION_LEN) {
		ssize_t count =
			send(conn->fds[0], question + sent, QUESTION_LEN - sent, MSG_NOSIGNAL);

		if (count >= 0)
			sent += (size_t)count;
		else if (errno != EINTR)
			return fail("cannot send");
	}
	printf("client: sent a line\n");
	return true;
}

static bool step_answer(struct connection *conn)
{
	char buf[QUESTION_LEN];
	size_t have = 0;

	while (have < sizeof(buf)) {
		ssize_t count = read_some(conn->fds[0], buf + have, sizeof(buf) - have);

		if (count < 0)
			return fail("no answer");
		if (count == 0) {
			printf("client: no answer: end of file\n");
			return false;
		}
		have += (size_t)count;
	}
	if (memcmp(buf, question, sizeof(buf)) != 0) {
		printf("client: the answer is not what was sent\n");
		return false;
	}
	printf("client: the answer came back\n");
	return true;
}

static bool step_say(struct connection *conn)
{
	return step_ask(conn) && step_answer(conn);
}

static bool step_end(struct connection *conn)
{
	char buf[512];
	ssize_t count;

	do
		count = read_some(conn->fds[0], buf, sizeof(buf));
	while (count > 0);
	if (count < 0)
		return fail("cannot read");
	printf("client: nothing more to read: end of file\n");
	return true;
}

static bool step_shut_rd(struct connection *conn)
{
	if (shutdown(conn->fds[0], SHUT_RD) < 0)
		return fail("shutdown(SHUT_RD)");
	printf("client: shutdown(SHUT_RD) done\n");
	return true;
}

static bool step_shut_wr(struct connection *conn)
{
	if (shutdown(conn->fds[0], SHUT_WR) < 0)
		return fail("shutdown(SHUT_WR)");
	printf("client: shutdown(SHUT_WR) done\n");
	return true;
}

static bool step_dup(struct connection *conn)
{
	int fd;

	if (conn->count > 1) {
		printf("client: there are two descriptors already\n");
		return false;
	}
	fd = dup(conn->fds[0]);
	if (fd < 0)
		return fail("dup");
	conn->fds[conn->count++] = fd;
	printf("client: descriptors %d and %d are one connection\n", conn->fds[0], fd);
	return true;
}

static bool step_close(struct connection *conn)
{
	int fd = conn->fds[0];

	conn->fds[0] = conn->fds[1];
	conn->count--;
	if (close(fd) < 0)
		return fail("close");
	printf("client: close(%d) done\n", fd);
	return true;
}

/* SIGUSR1 is blocked from the start, so one that comes early is not lost. */
static bool step_pause(struct connection *conn)
{
	sigset_t set;
	int sig;

	(void)conn;
	printf("client: waiting for SIGUSR1\n");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	errno = sigwait(&set, &sig);
	return errno ? fail("sigwait") : true;
}

static const struct step steps[] = {
	{"ask", step_ask}, {"answer", step_answer},   {"say", step_say},
	{"end", step_end}, {"shut-rd", step_shut_rd}, {"shut-wr", step_shut_wr},
	{"dup", step_dup}, {"close", step_close},     {"pause", step_pause},
};

static const struct step *find_step(const char *name)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (strcmp(steps[i].name, name) == 0)
			return &steps[i];
	return NULL;
}

/* Read a port from text. Return it, or -1 where text is no number from 1 to 65535. */
static int parse_port(const char *text)
{
	char *end;
	long port;

	if (*text < '0' || *text > '9')
		return -1;
	port = strtol(text, &end, 10);
	return *end || port < 1 || port > 65535 ? -1 : (int)port;
}

/* Connect to this machine's PORT. Return the descriptor, or -1 with the reason told. */
static int open_connection(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0) {
		fail("socket");
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&addr, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		fail("cannot connect");
		close(fd);
		return -1;
	}
	printf("client: connected from port %d\n", ntohs(addr.sin_port));
	return fd;
}

/* Block SIGUSR1 for the pauses, and set the alarm that ends us. */
static bool prepare_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return fail("sigprocmask");
	alarm(LIFETIME_SECONDS);
	return true;
}

/* Are all of the steps known, before the first is taken? */
static bool known_steps(char **names)
{
	for (; *names; names++)
		if (!find_step(*names))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct connection conn = {.count = 1};
	int port = argc > 1 ? parse_port(argv[1]) : -1;

	if (port < 0 || !known_steps(argv + 2)) {
		fprintf(stderr, "usage: client PORT "
				"[ask|answer|say|end|shut-rd|shut-wr|dup|close|pause]...\n");
		return 2;
	}

	/* Line by line: whoever reads along waits for these lines. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!prepare_signals())
		return 1;
	conn.fds[0] = open_connection(port);
	if (conn.fds[0] < 0)
		return 1;

	for (char **name = argv + 2; *name; name++) {
		const struct step *step = find_step(*name);

		if (conn.count == 0) {
			printf("client: %s: nothing is open any more\n", *name);
			return 1;
		}
		if (!step || !step->run(&conn))
			return 1;
	}
	return 0;
}
