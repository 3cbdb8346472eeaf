/* SPDX-License-Identifier: MIT */
/*
 * actors.c - see actors.h.
 */
#include "demo/actors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "facts/names.h"

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint16_t loopback_port(int fd)
{
	struct sockaddr_in name;
	socklen_t len = sizeof(name);

	stage_must(getsockname(fd, (struct sockaddr *)&name, &len), "getsockname");
	return ntohs(name.sin_port);
}

int loopback_bind(int fd, uint16_t port)
{
	const struct sockaddr_in name = loopback(port);

	return bind(fd, (const struct sockaddr *)&name, sizeof(name));
}

int loopback_reuse(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

int loopback_listener(uint16_t port, bool reuse, int backlog)
{
	const int fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");

	if (reuse)
		stage_must(loopback_reuse(fd), "setsockopt");
	stage_must(loopback_bind(fd, port), "bind");
	stage_must(listen(fd, backlog), "listen");
	return fd;
}

int loopback_connect(int fd, uint16_t port)
{
	const struct sockaddr_in name = loopback(port);

	return connect(fd, (const struct sockaddr *)&name, sizeof(name));
}

int loopback_client(uint16_t port)
{
	const int fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");

	stage_must(loopback_connect(fd, port), "connect");
	return fd;
}

struct pair pair_open(struct stage *stage)
{
	enum { BACKLOG = 64 };
	struct pair pair = {.listener = loopback_listener(0, false, BACKLOG)};

	pair.link.server = loopback_port(pair.listener);
	pair.client = loopback_client(pair.link.server);
	pair.link.client = loopback_port(pair.client);
	pair.server = stage_must(accept(pair.listener, NULL, NULL), "accept");
	stage_hush(stage);
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	return pair;
}

static void end_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void pair_close(struct stage *stage, struct pair *pair)
{
	end_one(&pair->client);
	end_one(&pair->server);
	end_one(&pair->listener);
	stage_hush(stage);
}

void high_pipe(int fds[2])
{
	enum { HIGH = 64 };

	stage_must(pipe(fds), "pipe");
	for (int i = 0; i < 2; i++) {
		const int high = stage_must(fcntl(fds[i], F_DUPFD, HIGH), "fcntl");

		close(fds[i]);
		fds[i] = high;
	}
}

/* The server's own process. It dies with us, whatever ends us. */
static void __attribute__((noreturn)) serve(int said, bool reuse, int backlog)
{
	uint16_t port;
	int listener;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	listener = loopback_listener(0, reuse, backlog);
	port = loopback_port(listener);
	if (write(said, &port, sizeof(port)) != sizeof(port) || accept(listener, NULL, NULL) < 0 ||
	    write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

struct actor actor_start(struct stage *stage, bool reuse)
{
	enum { BACKLOG = 64 };
	struct actor actor;
	int fds[2];

	high_pipe(fds);
	fflush(NULL);
	actor.pid = stage_must(fork(), "fork");
	if (actor.pid == 0)
		serve(fds[1], reuse, BACKLOG);
	close(fds[1]);
	actor.said = fds[0];
	if (read(actor.said, &actor.port, sizeof(actor.port)) != sizeof(actor.port))
		stage_give_up("the server has not come up");
	stage_calls_of(stage, actor.pid, "server");
	return actor;
}

void actor_accepts(struct stage *stage, const struct actor *actor)
{
	char byte;

	if (read(actor->said, &byte, 1) != 1)
		stage_give_up("the server has accepted nothing");
	stage_calls_of(stage, actor->pid, "server");
}

void actor_kill(struct stage *stage, const struct actor *actor)
{
	stage_must(kill(actor->pid, SIGKILL), "kill");
	stage_must(waitpid(actor->pid, NULL, 0), "waitpid");
	close(actor->said);
	stage_did(stage, "(shell)", "kill -9 SERVER, and it is gone");
}

/* --- What they do --- */

static const char hello[] = "hello";

enum { HELLO = sizeof(hello) - 1 };

/* "5", or "-1 ECONNRESET" */
void act_send(struct stage *stage, const char *who, int fd)
{
	const ssize_t count = send(fd, hello, HELLO, MSG_NOSIGNAL);

	if (count < 0)
		stage_did(stage, who, "send(%d, \"%s\", %d) = -1 %s", fd, hello, HELLO,
			  error_name(errno));
	else
		stage_did(stage, who, "send(%d, \"%s\", %d) = %zd", fd, hello, HELLO, count);
}

void act_recv(struct stage *stage, const char *who, int fd)
{
	char bytes[HELLO + 1] = "";
	const ssize_t count = recv(fd, bytes, HELLO, 0);

	if (count < 0)
		stage_did(stage, who, "recv(%d) = -1 %s", fd, error_name(errno));
	else if (count == 0)
		stage_did(stage, who, "recv(%d) = 0: end of file, the peer's FIN", fd);
	else
		stage_did(stage, who, "recv(%d, \"%s\") = %zd", fd, bytes, count);
}

void act_close(struct stage *stage, const char *who, int *fd)
{
	stage_must(close(*fd), "close");
	*fd = -1;
	stage_calls(stage, who);
}

void act_shutdown(struct stage *stage, const char *who, int fd, int how)
{
	stage_must(shutdown(fd, how), "shutdown");
	stage_calls(stage, who);
}

/* Send until the peer's buffer and our own are full. */
void act_fill(struct stage *stage, const char *who, int fd)
{
	enum { ROOM = 32768 };
	static const char bytes[4096];
	const int room = ROOM;
	size_t sent = 0;
	ssize_t count;

	stage_must(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), "setsockopt");
	stage_hush(stage);
	while ((count = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		sent += (size_t)count;
	if (errno != EAGAIN)
		stage_give_up("send: %s", strerror(errno));
	stage_did(stage, who, "send(%d, ...) = -1 EAGAIN, after %zu bytes", fd, sent);
}

/* Read to the end of file. */
void act_drain(struct stage *stage, const char *who, int fd)
{
	char bytes[65536];
	size_t had = 0;
	ssize_t count;

	while ((count = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		had += (size_t)count;
	stage_must((int)count, "recv");
	stage_did(stage, who, "recv(%d) = 0: end of file, after %zu bytes", fd, had);
}

/* A connection with small buffers to receive into. */
struct pair pair_open_narrow(struct stage *stage)
{
	const int room = 8192;
	struct pair pair = {.listener = loopback_listener(0, false, 1),
			    .client = socket(AF_INET, SOCK_STREAM, 0)};

	stage_must(pair.client, "socket");
	stage_must(setsockopt(pair.listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)),
		   "setsockopt");
	stage_must(setsockopt(pair.client, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)),
		   "setsockopt");
	pair.link.server = loopback_port(pair.listener);
	stage_must(loopback_connect(pair.client, pair.link.server), "connect");
	pair.link.client = loopback_port(pair.client);
	pair.server = stage_must(accept(pair.listener, NULL, NULL), "accept");
	stage_hush(stage);
	return pair;
}
