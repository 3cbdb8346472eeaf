/* SPDX-License-Identifier: MIT */
/*
 * Another process runs in this memory, made in one of the ways that there are, and closes and makes
 * sockets: says nothing about its parent's.
 *
 *	lends_memory HOW
 *
 * The parent makes a socket, sets an option TURNS times, before each of which it has such a child,
 * and closes the socket. With "handler" and "jumps" a handler of SIGCHLD sets the option, which
 *runs as soon as the parent may go on; "jumps" leaves it by a jump. With "forks" the child forks,
 *and what it forks closes its copy; with "nested" it has such a child itself.
 */
#include <alloca.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TURNS = 20, STACK = 65536 };

extern pid_t __vfork(void);
extern int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
extern char **environ;

static char stack[STACK] __attribute__((aligned(16)));
static int fd, ends[2];
static sigjmp_buf back;
static volatile sig_atomic_t jumps;

static void set_option(void)
{
	static const int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		_exit(3);
}

static void use_sockets(void)
{
	const int own = socket(AF_INET, SOCK_STREAM, 0);

	close(fd);
	dup2(own, fd);
	listen(fd, 1);
	shutdown(fd, SHUT_RDWR);
	close(own);
}

/* Not where the next instruction is: over the caller's stack, which a child has beside it. */
static inline _Noreturn __attribute__((always_inline)) void live_below(void)
{
	volatile char *room = alloca(STACK / 2);

	room[0] = 0;
	use_sockets();
	_exit(0);
}

static int live(void *arg)
{
	(void)arg;
	use_sockets();
	return 0;
}

/* Beside its parent, which waits for its word. */
static int live_beside(void *arg)
{
	use_sockets();
	if (write(ends[1], "x", 1) != 1)
		return 2;
	return arg != NULL;
}

static void await(pid_t child)
{
	int status = -1;
	pid_t found;

	do
		found = waitpid(child, &status, 0);
	while (found < 0 && errno == EINTR);
	if (child < 0 || (found >= 0 && status) || (found < 0 && errno != ECHILD))
		_exit(4);
}

static void by_vfork(void)
{
	const pid_t child = vfork();

	if (child == 0)
		live_below();
	await(child);
}

static void by_vfork_alias(void)
{
	const pid_t child = __vfork();

	if (child == 0)
		live_below();
	await(child);
}

static void by_clone(void)
{
	await(clone(live, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static void by_clone_alias(void)
{
	await(__clone(live, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static void beside(void)
{
	const pid_t child = clone(live_beside, stack + STACK, CLONE_VM | SIGCHLD, NULL);
	char byte;

	if (child < 0 || read(ends[0], &byte, 1) != 1)
		_exit(5);
	await(child);
}

static __attribute__((noinline)) void by_number(long number, long first, long second)
{
	const long child = syscall(number, first, second, 0L, 0L, 0L);

	if (child == 0)
		live_below();
	await((pid_t)child);
}

static void by_number_of_vfork(void)
{
#ifdef SYS_vfork
	by_number(SYS_vfork, 0, 0);
#else
	by_number(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
#endif
}

static void by_number_of_clone(void)
{
	by_number(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
}

static void by_number_of_clone3(void)
{
	static const uint64_t args[8] = {CLONE_VM | CLONE_VFORK, [4] = SIGCHLD};

	by_number(SYS_clone3, (long)(uintptr_t)args, sizeof(args));
}

static void forks(void)
{
	const pid_t child = vfork();
	char byte;

	if (child == 0) {
		const pid_t forked = fork();

		if (forked == 0) {
			close(fd);
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
			_exit(0);
		}
		live_below();
	}
	await(child);
	/* The forked one is not this process's child. */
	if (read(ends[0], &byte, 1) != 1)
		_exit(5);
}

static void nested(void)
{
	const pid_t child = vfork();

	if (child == 0) {
		const pid_t inner = vfork();

		if (inner == 0)
			live_below();
		live_below();
	}
	await(child);
}

/* Children of libc's own, which call none of the functions that others can have. */
static void by_libc(void)
{
	static char name[] = "true";
	char *const words[] = {name, NULL};
	posix_spawn_file_actions_t actions;
	FILE *reader;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 0);
	posix_spawn_file_actions_addclose(&actions, fd);
	posix_spawn_file_actions_adddup2(&actions, 1, fd);
	if (posix_spawnp(&child, "true", &actions, NULL, words, environ))
		_exit(6);
	await(child);
	posix_spawn_file_actions_destroy(&actions);
	reader = popen("true", "r");
	if (system("true") || !reader || pclose(reader))
		_exit(7);
}

static void on_child(int number)
{
	(void)number;
	set_option();
	if (jumps)
		siglongjmp(back, 1);
}

static void with_handler(void)
{
	const struct sigaction action = {.sa_handler = on_child};

	sigaction(SIGCHLD, &action, NULL);
	by_vfork();
}

static void with_jumps(void)
{
	jumps = 1;
	if (!sigsetjmp(back, 1))
		with_handler();
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static const struct {
	const char *name;
	void (*lend)(void);
} ways[] = {
	{"vfork", by_vfork},
	{"__vfork", by_vfork_alias},
	{"clone", by_clone},
	{"__clone", by_clone_alias},
	{"beside", beside},
	{"syscall-vfork", by_number_of_vfork},
	{"syscall-clone", by_number_of_clone},
	{"syscall-clone3", by_number_of_clone3},
	{"forks", forks},
	{"nested", nested},
	{"libc", by_libc},
	{"handler", with_handler},
	{"jumps", with_jumps},
};

int main(int argc, char **argv)
{
	void (*lend)(void) = NULL;

	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			lend = ways[i].lend;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (!lend || fd < 0 || pipe(ends))
		return 2;
	for (volatile int i = 0; i < TURNS; i++) {
		lend();
		if (lend != with_handler && lend != with_jumps)
			set_option();
	}
	close(fd);
	printf("%d\n", (int)getpid());
	return 0;
}
