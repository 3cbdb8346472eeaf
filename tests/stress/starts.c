/* SPDX-License-Identifier: MIT */
/*
 * starts.c - programs that start one after another beside others that are writing.
 *
 *	starts N       two children open and close sockets for as long as N programs start, one
 *	               after another; each of these opens and closes one socket
 *	starts once    such a program
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 2 };

static int fail(const char *what)
{
	fprintf(stderr, "starts: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_and_close(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || close(fd) < 0)
		fail("a socket");
}

static pid_t writer(void)
{
	const pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		open_and_close();
}

static void start_one(char *self)
{
	char *const args[] = {self, (char[]){"once"}, NULL};
	const pid_t child = fork();
	int status;

	if (child < 0)
		fail("fork");
	if (child == 0) {
		execv(self, args);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		fail("a program that starts");
}

int main(int argc, char **argv)
{
	pid_t writers[WRITERS];

	if (argc != 2) {
		fputs("usage: starts N|once\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "once") == 0) {
		open_and_close();
		return 0;
	}
	for (int i = 0; i < WRITERS; i++)
		writers[i] = writer();
	for (long left = strtol(argv[1], NULL, 10); left > 0; left--)
		start_one(argv[0]);
	for (int i = 0; i < WRITERS; i++) {
		kill(writers[i], SIGKILL);
		waitpid(writers[i], NULL, 0);
	}
	return 0;
}
