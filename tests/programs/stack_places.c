/* SPDX-License-Identifier: MIT */
/*
 * stack_places WHERE - makes one TCP socket and closes it, at a place that the test knows:
 * it prints the line of the close. Each WHERE is a place where a walk is not easy. What it
 * must not change (errno, malloc) is looked at here, and said on standard error.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static volatile int line;
static volatile sig_atomic_t mallocs;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have their own */

extern void *__libc_malloc(size_t size);

/* glibc's, and counted. */
void *malloc(size_t size)
{
	mallocs++;
	return __libc_malloc(size);
}

#endif

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
}

static __attribute__((noinline)) void place_of_interest(void)
{
	enum { SOME_ERROR = 77 };
	const int before = mallocs;
	int fd;

	errno = SOME_ERROR;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	line = __LINE__ + 1;
	close(fd);
	if (errno != SOME_ERROR)
		fail("errno was changed");
	if (mallocs != before)
		fail("memory was allocated");
}

static void *in_thread(void *arg)
{
	place_of_interest();
	return arg;
}

static void small_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN);
	pthread_create(&thread, &attr, in_thread, NULL);
	pthread_join(thread, NULL);
}

static void on_signal(int number)
{
	(void)number;
	place_of_interest();
}

/* The kernel's own need, and little more. */
static void alternate_stack(void)
{
	const size_t size = getauxval(AT_MINSIGSTKSZ) + 5120;
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = calloc(1, size), .ss_size = size};

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

/* A fault in the midst of a function, not at a call. */
static volatile int *volatile no_page;

static void after_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	place_of_interest();
	_exit(printf("%d\n", line) > 0 && fflush(stdout) == 0 ? 0 : 1);
}

static __attribute__((noinline)) void faulting_function(void)
{
	*no_page = 1;
}

static void fault(void)
{
	struct sigaction action = {.sa_sigaction = after_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &action, NULL);
	no_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	faulting_function();
}

static ucontext_t main_context, coroutine_context;

static void coroutine(void)
{
	static char stack[6144];

	getcontext(&coroutine_context);
	coroutine_context.uc_stack.ss_sp = stack;
	coroutine_context.uc_stack.ss_size = sizeof(stack);
	coroutine_context.uc_link = &main_context;
	makecontext(&coroutine_context, place_of_interest, 0);
	swapcontext(&main_context, &coroutine_context);
}

static __attribute__((noinline)) int recurse(int depth)
{
	volatile int below = 0; /* no tail call, nor a loop */

	if (depth == 0)
		place_of_interest();
	else
		below = recurse(depth - 1) + 1;
	return below;
}

static void deep(void)
{
	if (recurse(500) != 500)
		fail("lost");
}

static void forked(void)
{
	int status = -1;
	const pid_t child = fork();

	if (child == 0) {
		place_of_interest();
		printf("%d\n", line);
		exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		fail("the child died");
	_exit(0);
}

static void vforked(void)
{
	int status = -1;
	const pid_t child = vfork();

	if (child == 0) {
		close(socket(AF_INET, SOCK_STREAM, 0));
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		fail("the child died");
	place_of_interest();
}

static const struct {
	const char *name;
	void (*go)(void);
} places[] = {
	{"plain", place_of_interest},
	{"thread", small_thread},
	{"altstack", alternate_stack},
	{"fault", fault},
	{"coroutine", coroutine},
	{"deep", deep},
	{"fork", forked},
	{"vfork", vforked},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(argv[1], places[i].name) != 0)
			continue;
		places[i].go();
		printf("%d\n", line);
		return 0;
	}
	return 2;
}
