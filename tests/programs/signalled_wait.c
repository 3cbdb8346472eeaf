/* SPDX-License-Identifier: MIT */
/*
 * Binds to the port of argv[1] that are ended by signals, until one works: what each handler
 * was told, and how its bind ended, a line each. SIGUSR2 is blocked: is it pending in the
 * end? With argv[2] a timer sends signals too: three binds are ended by it first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handlers;
static siginfo_t last;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	last = *info;
	handlers++;
}

static void handle(int number)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

	sigaction(number, &action, NULL);
}

static int try(int fd, const struct sockaddr_in *addr)
{
	int rc;

	handlers = 0;
	rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (rc == 0)
		return 0;
	printf("%s after %d: signal %d code %d from %d value %d\n", strerrorname_np(errno),
	       (int)handlers, last.si_signo, last.si_code,
	       last.si_code == SI_TIMER ? 0 : last.si_pid, last.si_value.sival_int);
	fflush(stdout);
	return rc;
}

/* A timer that goes on only where each of its signals was taken as the kernel means it. */
static void timed(int fd, const struct sockaddr_in *addr)
{
	const struct itimerspec often = {{0, 50000000}, {0, 50000000}}, never = {{0, 0}, {0, 0}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
	timer_t timer;

	event.sigev_value.sival_int = 77;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &often, NULL) != 0)
		exit(2);
	for (int i = 0; i < 3; i++)
		try(fd, addr);
	timer_settime(timer, 0, &never, NULL);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	sigset_t set;

	if (argc < 2)
		return 2;
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	handle(SIGUSR1);
	handle(SIGUSR2);
	handle(SIGCHLD);
	handle(SIGRTMIN + 1);
	handle(SIGRTMIN + 2);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);

	if (argc > 2)
		timed(fd, &addr);
	while (try(fd, &addr) != 0)
		;
	sigpending(&set);
	printf("bound%s\n", sigismember(&set, SIGUSR2) ? ", SIGUSR2 is pending" : "");
	return 0;
}
