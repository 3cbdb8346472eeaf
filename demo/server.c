/* SPDX-License-Identifier: MIT */
/*
 * The demo server: the echo server of every select() tutorial, with its one mistake kept.
 *
 *	server [PORT]		9999 unless told; 0 lets the kernel choose
 *
 * The mistake is a line that is not here: no setsockopt(SO_REUSEADDR) before bind(). All goes
 * well until the server dies while a client is connected. The kernel then keeps the connection's
 * dead half (FIN_WAIT_2, then TIME_WAIT) for about a minute, and for that minute the next run
 * ends with "bind error: Address already in use". It is kept here because it is kept in so many
 * real servers, whose source nobody can or may change: they are what libreuse.so is for.
 *
 * Nothing else is done wrong on purpose. One thread, no queues that grow: each client has one
 * buffer, and nothing more is read from it before it has got its last bytes back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_PORT 9999
#define BACKLOG 64
#define REST_SECONDS 1

/* A client, found by its descriptor. Its bytes from sent to len are still to be echoed. */
struct client {
	bool connected;
	size_t len, sent;
	char bytes[4096];
};

static struct client clients[FD_SETSIZE];

/* Read a port from text. Return it, or -1 where text is no number from 0 to 65535. */
static int parse_port(const char *text)
{
	char *end;
	long port;

	if (*text < '0' || *text > '9')
		return -1;
	port = strtol(text, &end, 10);
	return *end || port > 65535 ? -1 : (int)port;
}

/* Make the listening socket, on all IPv4 addresses. Return it, or -1 with the reason told. */
static int open_listener(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	const char *failed = NULL;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0) {
		perror("socket error");
		return -1;
	}

	/* A careful server would set SO_REUSEADDR here. This one is not careful. */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		failed = "bind error";
	else if (listen(fd, BACKLOG) < 0)
		failed = "listen error";
	if (!failed)
		return fd;

	perror(failed);
	close(fd);
	return -1;
}

/* Say which port we listen on, at once: whoever started us may be waiting for this line. */
static int announce(int listener)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	if (getsockname(listener, (struct sockaddr *)&addr, &len) < 0) {
		perror("getsockname error");
		return -1;
	}
	if (printf("listening on port %d\n", ntohs(addr.sin_port)) < 0 || fflush(stdout) != 0) {
		perror("write error");
		return -1;
	}
	return 0;
}

/*
 * Take in a new client. Return false where that failed in a way that would fail again at once
 * (no descriptors left): the listener then had better rest for a moment.
 */
static bool welcome(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0) {
		if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED)
			return true;
		perror("accept error");
		return false;
	}
	if (fd >= FD_SETSIZE) {
		fprintf(stderr, "client refused: select() can watch no descriptor above %d\n",
			FD_SETSIZE - 1);
		close(fd);
		return true;
	}
	clients[fd].len = 0;
	clients[fd].sent = 0;
	clients[fd].connected = true;
	return true;
}

static void drop(int fd)
{
	clients[fd].connected = false;
	if (close(fd) < 0)
		perror("close error");
}

/* Did a call that must not block fail for good, or would the same call work later? */
static bool failed_for_good(void)
{
	return errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK;
}

/* Send back what the client is still to get; what does not fit now waits for the next round. */
static void echo(int fd)
{
	struct client *client = &clients[fd];
	ssize_t count = send(fd, client->bytes + client->sent, client->len - client->sent,
			     MSG_DONTWAIT | MSG_NOSIGNAL);

	if (count >= 0)
		client->sent += (size_t)count;
	else if (failed_for_good())
		drop(fd);
}

/* Read what the client says. End of file: it has nothing more to say, so neither have we. */
static void hear(int fd)
{
	struct client *client = &clients[fd];
	ssize_t count = recv(fd, client->bytes, sizeof(client->bytes), MSG_DONTWAIT);

	if (count > 0) {
		client->len = (size_t)count;
		client->sent = 0;
		echo(fd);
	} else if (count == 0 || failed_for_good()) {
		drop(fd);
	}
}

/* Fill in what select() is to watch for each client. Return the highest descriptor, or -1. */
static int watch_clients(fd_set *readable, fd_set *writable)
{
	int highest = -1;

	FD_ZERO(readable);
	FD_ZERO(writable);
	for (int fd = 0; fd < FD_SETSIZE; fd++) {
		if (!clients[fd].connected)
			continue;
		FD_SET(fd, clients[fd].sent < clients[fd].len ? writable : readable);
		highest = fd;
	}
	return highest;
}

/* Serve until select() itself fails, which it never should. */
static void serve(int listener)
{
	bool resting = false;

	for (;;) {
		struct timeval rest = {.tv_sec = REST_SECONDS};
		fd_set readable, writable;
		int highest = watch_clients(&readable, &writable);

		if (!resting)
			FD_SET(listener, &readable);
		if (select((highest > listener ? highest : listener) + 1, &readable, &writable,
			   NULL, resting ? &rest : NULL) < 0) {
			if (errno == EINTR)
				continue;
			perror("select error");
			return;
		}

		for (int fd = 0; fd <= highest; fd++) {
			if (FD_ISSET(fd, &writable))
				echo(fd);
			else if (fd != listener && FD_ISSET(fd, &readable))
				hear(fd);
		}

		/* New clients last: a number closed above may come back here as another one. */
		resting = FD_ISSET(listener, &readable) && !welcome(listener);
	}
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? parse_port(argv[1]) : DEFAULT_PORT;
	int listener;

	if (argc > 2 || port < 0) {
		fprintf(stderr, "usage: server [PORT]    (0 to 65535, %d unless told)\n",
			DEFAULT_PORT);
		return 2;
	}
	listener = open_listener(port);
	if (listener < 0)
		return 1;
	if (listener >= FD_SETSIZE) {
		fprintf(stderr, "too many open descriptors for select()\n");
		return 1;
	}
	if (announce(listener) == 0)
		serve(listener);
	return 1;
}
