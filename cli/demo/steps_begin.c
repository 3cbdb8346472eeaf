/* SPDX-License-Identifier: MIT */
/*
 * steps_begin.c - the steps of tcpshim demo about how a connection begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "demo/actors.h"
#include "demo/steps.h"

/* --- handshake --- */

/* One is accepted by the kernel into a queue of 0, which has room for one; the next waits. */
static void unanswered(struct stage *stage)
{
	const int listener = loopback_listener(0, false, 0);
	const uint16_t port = loopback_port(listener);
	const int first = loopback_client(port), second = socket(AF_INET, SOCK_STREAM, 0);

	stage_must(second, "socket");
	stage_must(fcntl(second, F_SETFL, O_NONBLOCK), "fcntl");
	stage_hush(stage);
	if (loopback_connect(second, port) == 0 || errno != EINPROGRESS)
		stage_give_up("a SYN to a full queue was answered");
	stage_calls(stage, "client");
	stage_end(stage, "client", loopback_port(second), port, STATE_SYN_SENT);
	stage_end(stage, "server", port, 0, STATE_LISTEN);
	stage_say(stage,
		  "This listener's queue is full (listen(fd, 0), one connection in it that "
		  "nobody accepts), so the kernel drops the SYN without a word, and the client "
		  "sends it again, a second later at first. That is what a server too slow to "
		  "accept looks like from outside: not refused, but slow.");
	close(second);
	close(first);
	close(listener);
	stage_hush(stage);
}

/* A server that takes no bare ACK, but waits for what the client has to say. */
static void half_open(struct stage *stage)
{
	const int seconds = 60, listener = loopback_listener(0, false, 1);
	const uint16_t port = loopback_port(listener);
	struct link link = {.server = port};
	int client;

	stage_must(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)),
		   "setsockopt");
	client = loopback_client(port);
	link.client = loopback_port(client);
	stage_hush(stage);
	stage_ends(stage, &link, STATE_ESTABLISHED, STATE_SYN_RCVD);
	stage_say(
		stage,
		"To see SYN_RCVD longer than a moment: this listener has TCP_DEFER_ACCEPT, so its "
		"kernel takes no ACK without data for the end of the handshake. The client is "
		"ESTABLISHED all the same: each end knows of itself alone.");

	act_send(stage, "client", client);
	stage_ends(stage, &link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	stage_say(stage, "The first bytes bring the ACK with them.");
	close(client);
	close(listener);
	stage_hush(stage);
}

void step_handshake(struct stage *stage)
{
	struct pair pair = {.listener = socket(AF_INET, SOCK_STREAM, 0)};

	stage_must(pair.listener, "socket");
	stage_must(loopback_bind(pair.listener, 0), "bind");
	stage_must(listen(pair.listener, 64), "listen");
	stage_calls(stage, "server");
	pair.link.server = loopback_port(pair.listener);
	stage_end(stage, "server", pair.link.server, 0, STATE_LISTEN);
	stage_say(stage,
		  "A listener is a socket that will never carry a byte. Send-Q is here the length "
		  "of its queue, as listen() was told; Recv-Q is how many wait in it.");

	pair.client = loopback_client(pair.link.server);
	pair.link.client = loopback_port(pair.client);
	stage_calls(stage, "client");
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	stage_end(stage, "server", pair.link.server, 0, STATE_LISTEN);
	stage_say(stage,
		  "SYN, SYN and ACK, ACK: the connection is made, at both ends, and the server has "
		  "not called accept() yet. The kernel made it. It waits in the queue (Recv-Q of "
		  "LISTEN is 1), and the client may send already.");

	pair.server = stage_must(accept(pair.listener, NULL, NULL), "accept");
	stage_calls(stage, "server");
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	stage_say(stage,
		  "accept() sends nothing. It gives a descriptor to what is there. SYN_RCVD stands "
		  "in brackets, since it was over before any call of the program could see it.");
	pair_close(stage, &pair);
	half_open(stage);
	unanswered(stage);
}

/* --- self-connect --- */

/* A port of those that the kernel chooses for a connect. Without a FIN, nothing waits on it. */
static uint16_t port_of_a_connect(void)
{
	const struct linger now = {.l_onoff = 1};
	const int listener = loopback_listener(0, false, 1);
	const int client = loopback_client(loopback_port(listener));
	const uint16_t port = loopback_port(client);

	stage_must(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), "setsockopt");
	close(client);
	close(listener);
	return port;
}

/* Nobody has it, and no earlier connection is in TIME_WAIT on it. */
static bool is_free(uint16_t port)
{
	const int fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	const bool good = loopback_bind(fd, port) == 0;

	close(fd);
	return good;
}

static uint16_t free_port_of_a_connect(struct stage *stage)
{
	enum { MOST = 10000 };

	for (int tries = 0; tries < MOST; tries++) {
		const uint16_t port = port_of_a_connect();
		const bool good = is_free(port);

		stage_hush(stage);
		if (good) {
			/* Binds that are refused are told of in full once a second. */
			if (tries)
				sleep(1);
			return port;
		}
	}
	stage_give_up("no free port is found");
}

/* As a client does whose server is down. */
static void connect_at_last(int fd, uint16_t port)
{
	enum { MOST = 200000 };

	for (int tries = 0; tries < MOST; tries++) {
		if (loopback_connect(fd, port) == 0)
			return;
		if (errno != ECONNREFUSED)
			break;
	}
	stage_give_up("connect: %s, and never to itself", strerror(errno));
}

void step_self_connect(struct stage *stage)
{
	const uint16_t port = free_port_of_a_connect(stage);
	int fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket"), other;

	stage_say(stage, "Nobody listens on port %u. A client tries it again and again:", port);
	connect_at_last(fd, port);
	stage_calls(stage, "client");
	stage_end(stage, "client", port, port, STATE_ESTABLISHED);
	act_send(stage, "client", fd);
	act_recv(stage, "client", fd);
	stage_say(
		stage,
		"Refused so many times, and then connected, to nobody: for each try the kernel "
		"takes "
		"another local port of its range (net.ipv4.ip_local_port_range), and this time it "
		"was the very port that the client wants to reach. Its SYN met its own SYN, which "
		"TCP "
		"knows as a simultaneous open: SYN_SENT, SYN_RCVD, ESTABLISHED. It hears itself.");

	other = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	stage_must(loopback_reuse(other), "setsockopt");
	if (loopback_bind(other, port) == 0)
		stage_give_up("a bind to a port that a self-connect has worked");
	stage_calls(stage, "server");
	stage_say(stage, "And then the server that comes back finds its port taken, by its own "
			 "client.");

	act_close(stage, "client", &fd);
	stage_end(stage, "client", port, port, STATE_TIME_WAIT);
	stage_say(stage,
		  "It gets its own FIN before the ACK of it: CLOSING once more, and TIME_WAIT.");
	close(other);
	stage_hush(stage);
}
