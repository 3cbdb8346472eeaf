/* SPDX-License-Identifier: MIT */
/*
 * steps_end.c - the steps of tcpshim demo about how a connection ends.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "demo/actors.h"
#include "demo/steps.h"

/* --- close --- */

/* The FIN stands behind bytes that the client does not read. */
static void late_fin(struct stage *stage)
{
	struct pair pair = pair_open_narrow(stage);

	act_fill(stage, "server", pair.server);
	act_shutdown(stage, "client", pair.client, SHUT_WR);
	act_close(stage, "server", &pair.server);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_LAST_ACK);
	stage_say(
		stage,
		"To see LAST_ACK longer than a moment: this server has sent more than the client "
		"reads, and then closed. close() has returned, and the kernel goes on: what is in "
		"Send-Q is still to be delivered, and the FIN behind it.");

	act_drain(stage, "client", pair.client);
	stage_ends(stage, &pair.link, STATE_TIME_WAIT, STATE_CLOSED);
	stage_say(stage, "So nothing is lost by close() itself, as long as the other end reads.");
	pair_close(stage, &pair);
}

void step_close(struct stage *stage)
{
	struct pair pair = pair_open(stage);

	stage_say(stage, "A connection, made as in the step handshake. Now the client closes.");

	act_close(stage, "client", &pair.client);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	stage_say(
		stage,
		"close() has sent a FIN (FIN_WAIT_1), and the server's kernel has acknowledged it "
		"(FIN_WAIT_2). The descriptor is gone at once, the connection is not: from here on "
		"it is the kernel's. The server is in CLOSE_WAIT, that is, its kernel waits for "
		"its close(). The 1 in Recv-Q is the FIN.");

	act_recv(stage, "server", pair.server);
	act_close(stage, "server", &pair.server);
	stage_ends(stage, &pair.link, STATE_TIME_WAIT, STATE_CLOSED);
	stage_say(stage,
		  "The server's FIN (LAST_ACK), the last ACK, and the server's end is gone. The "
		  "client's stays for a minute in TIME_WAIT: it sent the last ACK, and if that was "
		  "lost it must be there to send it again. Who closes first keeps the connection; "
		  "if that is the server, it keeps the server's port (see the step reuse).");
	pair_close(stage, &pair);
	late_fin(stage);
}

/* --- half-close --- */

static void closed_whole(struct stage *stage)
{
	struct pair pair = pair_open(stage);

	stage_say(stage,
		  "Many tutorials say that close() half-closes too. The same again, with one "
		  "call changed:");

	act_close(stage, "client", &pair.client);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	stage_say(stage, "On the wire it looks the same, a FIN. But now nobody is there to read:");

	act_send(stage, "server", pair.server);
	stage_ends(stage, &pair.link, STATE_CLOSED, STATE_CLOSED);
	act_send(stage, "server", pair.server);
	stage_say(
		stage,
		"send() worked, for it puts bytes into a queue. The client's kernel answered them "
		"with RST, and both ends are gone, without TIME_WAIT; the next send() learns it. "
		"close() ends both directions. To half-close is shutdown(SHUT_WR) alone.");
	pair_close(stage, &pair);
}

/* It reads no more: a connection of its own, since both shutdowns together are another thing. */
static void read_no_more(struct stage *stage)
{
	struct pair pair = pair_open(stage);

	act_shutdown(stage, "client", pair.client, SHUT_RD);
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	act_send(stage, "server", pair.server);
	act_recv(stage, "client", pair.client);
	stage_say(stage,
		  "shutdown(SHUT_RD), \"I read no more\", sends nothing and changes no state. "
		  "The client has told nobody but itself; on Linux not even that, as one sees.");
	pair_close(stage, &pair);
}

void step_half_close(struct stage *stage)
{
	struct pair pair;

	read_no_more(stage);
	pair = pair_open(stage);
	act_shutdown(stage, "client", pair.client, SHUT_WR);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	stage_say(stage,
		  "Another connection. shutdown(SHUT_WR), \"I send no more\", sends the FIN. "
		  "The descriptor is still open, and so is the other direction:");

	act_send(stage, "server", pair.server);
	act_recv(stage, "client", pair.client);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	stage_say(
		stage,
		"In CLOSE_WAIT a server may send as long as it likes. This is how one says \"that "
		"was my question\" and still gets the answer.");
	pair_close(stage, &pair);
	closed_whole(stage);
}

/* --- reset --- */

static void lingering(struct stage *stage)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct pair pair = pair_open(stage);

	stage_must(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), "setsockopt");
	act_close(stage, "client", &pair.client);
	stage_ends(stage, &pair.link, STATE_CLOSED, STATE_CLOSED);
	act_recv(stage, "server", pair.server);
	stage_say(stage,
		  "With SO_LINGER on and 0 seconds every close() is a RST. It is told as a cure "
		  "for TIME_WAIT: it is one, as pulling the plug is one. What was sent and has "
		  "not arrived is thrown away.");
	pair_close(stage, &pair);
}

void step_reset(struct stage *stage)
{
	struct pair pair = pair_open(stage);

	act_send(stage, "client", pair.client);
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	stage_say(stage, "The client has sent 5 bytes (Recv-Q of the server is 5). The server does "
			 "not read them, and closes:");

	act_close(stage, "server", &pair.server);
	stage_ends(stage, &pair.link, STATE_CLOSED, STATE_CLOSED);
	act_recv(stage, "client", pair.client);
	stage_say(stage,
		  "No FIN: RST, and neither end is in TIME_WAIT. A close() with unread bytes "
		  "must tell the peer that they were lost. So a server that answers and closes "
		  "without having read all of the question may lose its answer: what has not "
		  "arrived yet is thrown away.");
	pair_close(stage, &pair);
	lingering(stage);
}

/* --- close-wait --- */

void step_close_wait(struct stage *stage)
{
	const struct actor actor = actor_start(stage, false);
	struct link link = {.server = actor.port};
	int client;

	stage_say(stage, "This server is a process of its own, which will forget to close.");
	client = loopback_client(link.server);
	link.client = loopback_port(client);
	actor_accepts(stage, &actor);
	act_close(stage, "client", &client);
	stage_ends(stage, &link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	stage_say(stage,
		  "CLOSE_WAIT has no timer. It lasts until the program closes, for weeks if need "
		  "be, and each one costs a descriptor: many that stay are a bug of the program "
		  "that has them open, not of the network. The client's end has no process any "
		  "more, so its kernel waits only for so long.");

	actor_kill(stage, &actor);
	stage_ends(stage, &link, STATE_TIME_WAIT, STATE_CLOSED);
	stage_say(stage,
		  "No program can answer to SIGKILL, so who sent the server's FIN? The kernel: "
		  "when a "
		  "process ends, in whatever way, all its descriptors are closed, and that was the "
		  "close() that was missing. Killing it ended the CLOSE_WAIT, and left no port "
		  "behind, "
		  "since the client had closed first.");
}

/* --- simultaneous-close --- */

void step_simultaneous_close(struct stage *stage)
{
	struct pair pair = pair_open_narrow(stage);

	stage_say(stage,
		  "Both ends are to close before either has heard of it. On loopback a FIN arrives "
		  "before shutdown() returns, so this one is held up by what comes before it: both "
		  "send until nothing goes any more, and read nothing.");
	act_fill(stage, "client", pair.client);
	act_fill(stage, "server", pair.server);
	stage_ends(stage, &pair.link, STATE_ESTABLISHED, STATE_ESTABLISHED);
	stage_say(stage, "Recv-Q: what the program has not read. Send-Q: what the peer has no room "
			 "for.");

	act_shutdown(stage, "client", pair.client, SHUT_WR);
	act_shutdown(stage, "server", pair.server, SHUT_WR);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_1, STATE_FIN_WAIT_1);
	stage_say(stage, "Both are in FIN_WAIT_1, and neither FIN has left: each stands behind the "
			 "bytes in Send-Q (and is counted there, as 1). Now the client reads.");

	act_drain(stage, "client", pair.client);
	stage_ends(stage, &pair.link, STATE_CLOSING, STATE_FIN_WAIT_2);
	stage_say(
		stage,
		"There was room, so the server's bytes came, and its FIN. It met a client that had "
		"closed as well, and whose own FIN is not acknowledged: that is CLOSING. Where the "
		"two FINs cross on a network, both ends are in it for a moment.");

	act_drain(stage, "server", pair.server);
	stage_ends(stage, &pair.link, STATE_TIME_WAIT, STATE_TIME_WAIT);
	stage_say(stage, "Neither was the second to close, so both are in TIME_WAIT.");
	pair_close(stage, &pair);
}
