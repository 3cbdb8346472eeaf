/* SPDX-License-Identifier: MIT */
/* fork, vfork, exec: descriptors in children, and what stays with the parent. */
#include <spawn.h>
#include <sys/prctl.h>

#include "walk.h"

extern char **environ;

static const char *self;

/* In a child that was executed: which descriptors came along. */
static int listed(void)
{
	printf("  came along:");
	for (int fd = 0; fd < 300; fd++) {
		struct pollfd one = {.fd = fd};

		if (poll(&one, 1, 0) >= 0 && !(one.revents & POLLNVAL))
			printf(" %d", fd);
	}
	printf(", low %d\n", lowest_fd());
	return 0;
}

static void ended(const char *what, pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	printf("%s: status %x, low %d\n", what, (unsigned int)status, lowest_fd());
	fflush(stdout);
}

static void forked(int l)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		TELL(close(dup(l)));
		TELL(setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)));
		TELL(close(l));
		TELL(close(l));
		TELL(socket(AF_INET, SOCK_STREAM, 0));
		exit(0);
	}
	ended("fork", child);
	TELL(listen(l, 5));
}

static void vforked(int l)
{
	pid_t child = vfork();

	if (child == 0) {
		close(l);
		dup2(1, l);
		close(1000);
		dup2(l, 50);
		fcntl(50, F_SETFD, FD_CLOEXEC);
		execl(self, self, "list", (char *)NULL);
		_exit(1);
	}
	ended("vfork", child);
	TELL(listen(l, 5));
	child = vfork();
	if (child == 0) {
		close(l);
		_exit(7);
	}
	ended("vfork and _exit", child);
	TELL(listen(l, 5));
}

static void spawned(int l)
{
	posix_spawn_file_actions_t actions;
	char *args[] = {(char *)(uintptr_t)self, (char *)(uintptr_t) "list", NULL};
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, l);
	posix_spawn_file_actions_adddup2(&actions, 1, 70);
	must(-posix_spawn(&child, self, &actions, NULL, args, environ));
	ended("posix_spawn", child);
	TELL(listen(l, 5));
}

static void executed(int l)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		fcntl(l, F_SETFD, FD_CLOEXEC);
		must(dup2(l, 60));
		execl(self, self, "list", (char *)NULL);
		_exit(1);
	}
	ended("fork and exec", child);
	child = fork();
	if (child == 0) {
		execl("/nonexistent", "x", (char *)NULL);
		TELL(listen(l, 5));
		exit(0);
	}
	ended("exec that failed", child);
}

int main(int argc, char **argv)
{
	int l, ends[2];

	if (argc > 1)
		return listed();
	self = argv[0];
	l = listener();
	connection(ends);
	forked(l);
	vforked(l);
	spawned(l);
	executed(l);
	printf("system %d\n", system("exit 3"));
	TELL(close(ends[0]));
	TELL(close(ends[1]));
	TELL(close(l));
	return 0;
}
