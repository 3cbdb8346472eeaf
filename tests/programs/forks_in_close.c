/* SPDX-License-Identifier: MIT */
/*
 * A close that lingers (SO_LINGER) is interrupted by a signal whose handler forks: both
 * processes go on from there. Prints the pids of parent and child.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t closes;
static volatile pid_t child = -1;

static void on_alarm(int number)
{
	(void)number;
	if (closes && child < 0)
		child = fork();
}

/* A connection whose peer reads nothing, with more to send than both ends have room for. */
static int full_connection(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	const struct linger linger = {1, 60};
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	static char bytes[65536];

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, len) < 0)
		return -1;
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ? -1 : fd;
}

int main(void)
{
	const struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
	const struct sigaction action = {.sa_handler = on_alarm};
	const int fd = full_connection();

	if (fd < 0)
		return 2;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	closes = 1;
	close(fd);
	closes = 0;
	setitimer(ITIMER_REAL, &never, NULL);
	if (child <= 0)
		return child < 0;
	waitpid(child, NULL, 0);
	printf("%d %d\n", (int)getpid(), (int)child);
	return 0;
}
