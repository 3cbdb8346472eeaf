/* SPDX-License-Identifier: MIT */
/*
 * stack_storm SECONDS - everything at once that a walk might meet: threads that call from
 * ever other depths, signals whose handlers call too and often jump away (siglongjmp), forks
 * whose children go on calling, and a thread that loads and unloads libraries. It ends with
 * 0 where nobody hung, died or found errno changed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, DEEPEST = 200, LIMIT_SECONDS = 60 };

static _Atomic(int) stopping, wrong;
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t may_jump;

static void make_and_close(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	close(fd);
}

/*
 * One signal more, after a while. Not at a fixed pace: on a busy machine a handler may take
 * longer, and nothing else would ever run.
 */
static void set_alarm(void)
{
	const struct itimerval once = {.it_value = {0, 500}};

	setitimer(ITIMER_REAL, &once, NULL);
}

static void on_alarm(int number)
{
	static _Atomic(unsigned int) count;
	const int before = errno;

	(void)number;
	make_and_close();
	if (errno != before)
		wrong = 1;
	set_alarm();
	if (may_jump && ++count % 8 == 0) {
		may_jump = 0;
		siglongjmp(back, 1);
	}
}

static __attribute__((noinline)) int from_depth(int depth)
{
	volatile int below = 0;

	if (depth == 0)
		make_and_close();
	else
		below = from_depth(depth - 1) + 1;
	return below;
}

static void *call_from_everywhere(void *arg)
{
	unsigned int seed = (unsigned int)(long)arg;

	while (!stopping) {
		if (sigsetjmp(back, 1) == 0) {
			may_jump = 1;
			from_depth(rand_r(&seed) % DEEPEST);
		}
		may_jump = 0;
	}
	return NULL;
}

static void *load_and_unload(void *arg)
{
	while (!stopping) {
		void *library = dlopen("libresolv.so.2", RTLD_NOW);

		if (library)
			dlclose(library);
	}
	return arg;
}

/*
 * The signals go to the other threads meanwhile: the kernel begins a fork anew for each one
 * that comes, and on a busy machine it would come to no end.
 */
static void fork_a_child(void)
{
	int status = -1;
	sigset_t often;
	pid_t child;

	sigemptyset(&often);
	sigaddset(&often, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &often, NULL);
	child = fork();
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		pthread_sigmask(SIG_UNBLOCK, &often, NULL);
		alarm(LIMIT_SECONDS);
		for (int depth = 0; depth < 90; depth += 3)
			from_depth(depth);
		_exit(0);
	}
	pthread_sigmask(SIG_UNBLOCK, &often, NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		wrong = 1;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	const struct itimerval never = {{0, 0}, {0, 0}};
	pthread_t threads[THREADS + 1];
	const time_t end = time(NULL) + (argc == 2 ? atoi(argv[1]) : 1);

	/*
	 * The places that each stack begins with are known before the first fork: a child that is
	 * forked while libunwind is at work learns no new ones (docs/LIMITS.md).
	 */
	from_depth(1);
	sigaction(SIGALRM, &action, NULL);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, call_from_everywhere, (void *)i);
	pthread_create(&threads[THREADS], NULL, load_and_unload, NULL);
	set_alarm();
	while (time(NULL) < end)
		fork_a_child();
	stopping = 1;
	for (int i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	return wrong;
}
