/* SPDX-License-Identifier: MIT */
/*
 * Calls that a signal interrupts, with handlers that make calls themselves.
 *
 * First without SA_RESTART: accept ends with EINTR. Then with it: the handler connects, and
 * the accept that the kernel begins again returns that connection.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int spare, client;
static volatile sig_atomic_t connecting, connected;
static struct sockaddr_in addr = {.sin_family = AF_INET};

static void on_alarm(int number)
{
	int saved = errno;

	(void)number;
	close(dup(spare));
	if (connecting && !connected) {
		connect(client, (struct sockaddr *)&addr, sizeof(addr));
		connected = 1;
	}
	errno = saved;
}

static void handle(int flags)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};

	sigaction(SIGALRM, &action, NULL);
}

/* Signals come until they are stopped: one that comes before accept waits harms nothing. */
static void alarms(long microseconds)
{
	struct itimerval timer = {{0, microseconds}, {0, microseconds}};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static int listener(void)
{
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 5) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		exit(2);
	return fd;
}

int main(void)
{
	int fd, rc;

	spare = listener();
	fd = listener();
	client = socket(AF_INET, SOCK_STREAM, 0);

	handle(0);
	alarms(20000);
	rc = accept(fd, NULL, NULL);
	alarms(0);
	if (rc != -1 || errno != EINTR)
		return 3;

	connecting = 1;
	handle(SA_RESTART);
	alarms(20000);
	rc = accept(fd, NULL, NULL);
	alarms(0);
	if (rc < 0)
		return 4;

	close(rc);
	close(client);
	close(fd);
	close(spare);
	return 0;
}
