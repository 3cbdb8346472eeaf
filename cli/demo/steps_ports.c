/* SPDX-License-Identifier: MIT */
/*
 * steps_ports.c - the steps of tcpshim demo about what a connection leaves on its port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "demo/actors.h"
#include "demo/ends.h"
#include "demo/steps.h"
#include "facts/names.h"

/* --- What sysctls change: measured in a network namespace of our own --- */

static const struct row {
	const char *what, *name, *value; /* name NULL: no number is changed */
	bool reuse;			 /* SO_REUSEADDR on both sockets */
} rows[] = {
	{"(the defaults)", NULL, NULL, false},
	{"tcp_fin_timeout = 5", "tcp_fin_timeout", "5", false},
	{"tcp_tw_reuse = 1", "tcp_tw_reuse", "1", false},
	{"SO_REUSEADDR on both sockets", NULL, NULL, true},
};

static bool set_number(const char *name, const char *value)
{
	char path[128];
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	file = fopen(path, "w");
	if (!file)
		return false;
	good = fputs(value, file) >= 0;
	return fclose(file) == 0 && good;
}

/* Root may; another user may where the kernel lets users make namespaces. */
static bool leave_for_own_namespace(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return false;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
		close(fd);
		return false;
	}
	close(fd);
	return true;
}

/* Leave a connection in TIME_WAIT at the server's end, as a server that closes first does. */
static struct end leave_time_wait(bool reuse)
{
	const int listener = loopback_listener(0, reuse, 1);
	struct end end = {.local = loopback_port(listener)};
	const int client = loopback_client(end.local);
	const int server = stage_must(accept(listener, NULL, NULL), "accept");

	end.peer = loopback_port(client);
	close(server);
	close(client);
	close(listener);
	do
		stage_must(end_look(&end), "sock_diag");
	while (end.state == STATE_FIN_WAIT_1 || end.state == STATE_FIN_WAIT_2);
	return end;
}

static const char *try_bind(uint16_t port, bool reuse)
{
	const int fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	const char *said = "works";

	if (reuse)
		stage_must(loopback_reuse(fd), "setsockopt");
	if (loopback_bind(fd, port) < 0)
		said = error_name(errno);
	close(fd);
	return said;
}

static void measure(struct stage *stage, const struct row *row)
{
	struct end end;

	if (row->name && !set_number(row->name, row->value))
		stage_give_up("net.ipv4.%s: %s", row->name, strerror(errno));
	end = leave_time_wait(row->reuse);
	stage_line(stage, "%-34s%-12u%s", row->what, (end.left_ms + 999) / 1000,
		   try_bind(end.local, row->reuse));
}

/* In a child, since no process comes back from such a namespace. Return its exit status. */
static int measure_apart(struct stage *stage, const struct row *row)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = stage_must(fork(), "fork");
	if (pid == 0) {
		if (!leave_for_own_namespace())
			_exit(STATUS_USAGE);
		measure(stage, row);
		fflush(NULL);
		_exit(STATUS_FINE);
	}
	stage_must(waitpid(pid, &status, 0), "waitpid");
	stage_hush(stage);
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_NO;
}

static void sysctls(struct stage *stage)
{
	stage_line(stage, "%-34s%-12s%s", "(each in a namespace of its own)", "TIME_WAIT",
		   "bind to its port");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int status = measure_apart(stage, &rows[i]);

		if (status == STATUS_USAGE) {
			stage_line(stage,
				   "(not measured: this user can make no network namespace)");
			return;
		}
		if (status)
			stage_give_up("what sysctls change");
	}
}

/* --- time-wait --- */

void step_time_wait(struct stage *stage)
{
	struct pair pair = pair_open(stage);
	struct tcp_info info;
	socklen_t len = sizeof(info);

	act_shutdown(stage, "client", pair.client, SHUT_WR);
	stage_ends(stage, &pair.link, STATE_FIN_WAIT_2, STATE_CLOSE_WAIT);
	act_close(stage, "server", &pair.server);
	stage_ends(stage, &pair.link, STATE_TIME_WAIT, STATE_CLOSED);
	stage_must(getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &len), "getsockopt");
	if (info.tcpi_state != TCP_CLOSE)
		stage_give_up("TCP_INFO says %u of a connection in TIME_WAIT", info.tcpi_state);
	stage_did(stage, "client", "getsockopt(%d, TCP_INFO): tcpi_state = TCP_CLOSE", pair.client);
	stage_say(stage,
		  "TIME_WAIT, and the client has not even called close(). Asked by its descriptor "
		  "(TCP_INFO; lsof knows no addresses of it) the socket says that it is closed: "
		  "what is "
		  "in TIME_WAIT is a small record of the kernel's, which no descriptor leads to.");

	act_close(stage, "client", &pair.client);
	stage_end(stage, "client", pair.link.client, pair.link.server, STATE_TIME_WAIT);
	stage_say(stage, "So close() changes nothing about it, and neither does the end of the "
			 "process. Do the sysctls that are recommended against it?");

	sysctls(stage);
	stage_say(stage,
		  "TIME_WAIT takes 60 s on Linux, whatever these say. tcp_fin_timeout is about "
		  "FIN_WAIT_2; tcp_tw_reuse lets a new connect() take the place of an old "
		  "connection. "
		  "A bind() asks neither. What it asks is SO_REUSEADDR: see the step reuse.");
	pair_close(stage, &pair);
}

/* --- reuse --- */

/* A server is killed while a client is connected; then the client ends, too. */
static struct link crash(struct stage *stage, bool reuse, bool explain)
{
	const struct actor actor = actor_start(stage, reuse);
	struct link link = {.server = actor.port};
	int client = loopback_client(link.server);

	link.client = loopback_port(client);
	actor_accepts(stage, &actor);
	actor_kill(stage, &actor);
	if (explain) {
		stage_ends(stage, &link, STATE_CLOSE_WAIT, STATE_FIN_WAIT_2);
		stage_say(stage,
			  "The process is gone, and its connection is not. Its kernel sent the FIN "
			  "for it, "
			  "and so the server is the one that closed first. Whoever looks for the "
			  "process "
			  "that \"holds the port\" (lsof, fuser) finds none: there is none.");
	}
	act_close(stage, "client", &client);
	stage_ends(stage, &link, STATE_CLOSED, STATE_TIME_WAIT);
	return link;
}

/* A server comes again, on the old one's port. Return the error of its bind. */
static int come_again(uint16_t port, bool reuse, int *fd)
{
	*fd = stage_must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	if (reuse)
		stage_must(loopback_reuse(*fd), "setsockopt");
	return loopback_bind(*fd, port) < 0 ? errno : 0;
}

/* As a new process, which a restarted server is. */
static void refused(struct stage *stage, uint16_t port, bool reuse)
{
	int status, fd;
	pid_t pid;

	fflush(NULL);
	pid = stage_must(fork(), "fork");
	if (pid == 0)
		_exit(come_again(port, reuse, &fd));
	stage_must(waitpid(pid, &status, 0), "waitpid");
	stage_calls_of(stage, pid, "server");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EADDRINUSE)
		stage_give_up("a bind to a port in TIME_WAIT was not refused");
}

static void taken(struct stage *stage, const struct link *link)
{
	int fd, other;

	if (come_again(link->server, true, &fd) != 0)
		stage_give_up("bind: %s, with SO_REUSEADDR on both sockets", strerror(errno));
	stage_must(listen(fd, 64), "listen");
	stage_calls(stage, "server");
	stage_end(stage, "server", link->server, 0, STATE_LISTEN);
	stage_end(stage, "server", link->server, link->client, STATE_TIME_WAIT);
	stage_say(stage, "The new server has the port, and what is left of the old one is still "
			 "there, beside it: the kernel keeps the two apart.");

	if (come_again(link->server, true, &other) != EADDRINUSE)
		stage_give_up("a bind to a port with a listener was not refused");
	stage_calls(stage, "server");
	stage_say(stage, "What the option does not do: take a port from somebody who listens.");
	close(other);
	close(fd);
	stage_hush(stage);
}

void step_reuse(struct stage *stage)
{
	struct link link;

	stage_say(stage, "A server without SO_REUSEADDR, killed while a client is connected:");
	link = crash(stage, false, true);
	stage_say(stage, "The client has closed too, and the old server's end is in TIME_WAIT. The "
			 "server is started again:");

	refused(stage, link.server, false);
	stage_say(stage, "So the answer in every forum: set SO_REUSEADDR. The new server does:");

	refused(stage, link.server, true);
	stage_say(
		stage,
		"And it fails all the same. (\"Probably\", said the note above: what option a dead "
		"server's socket had, the kernel does not tell.) The option is asked of both: of "
		"the socket that binds, "
		"and of the one that left the connection behind, which did not have it. It must be "
		"there from the first run on:");

	link = crash(stage, true, false);
	stage_say(stage, "The same crash, but this server had set the option before its bind().");

	taken(stage, &link);
}
