/* SPDX-License-Identifier: MIT */
/*
 * refused - one failure again and again, and then the end of the process.
 *
 *	refused WHAT TIMES END
 *
 * WHAT: accept    a server that has accepted three connections, and has no descriptor for
 *                 the next one (EMFILE)
 *       again     a server that waits for nobody (EAGAIN)
 *       both      the same, and between two of them a setsockopt that fails (ENOPROTOOPT)
 *       connect   a new socket for each try to reach a port at which nobody listens
 *       closed    a number that was a socket, closed twice
 *       handled   as again, and so does a signal handler in between, 10,000 times a second
 * END:  close, return, exit, _exit, exec, kill, thread (the thread that fails ends, then kill),
 *       thread-exit (exit() while the thread that has failed waits), crowd (100 threads fail
 *       so often, and stay until exit()), fork (a child closes the
 *       listener and exits, then the parent closes), wait (until it is killed)
 *
 * How often it has failed is printed before the end, a line a thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *what;
static long times;
static int listener, other;
static volatile sig_atomic_t handled;
static pthread_barrier_t crowd;
static struct sockaddr_in addr = {.sin_family = AF_INET};

static void must(int good, const char *call)
{
	if (good)
		return;
	perror(call);
	exit(1);
}

static void serve(int accepts)
{
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&addr, len) == 0, "bind");
	must(listen(listener, 16) == 0, "listen");
	must(getsockname(listener, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	for (int i = 0; i <= accepts; i++) {
		other = socket(AF_INET, SOCK_STREAM, 0);
		must(connect(other, (struct sockaddr *)&addr, len) == 0, "connect");
		if (i < accepts)
			must(accept(listener, NULL, NULL) >= 0, "accept");
	}
}

/* No number is free any more. */
static void use_up(void)
{
	struct rlimit limit;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
	limit.rlim_cur = (rlim_t)fd + 1;
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

static int fail(long i)
{
	int value = 1, fd;
	const socklen_t len = sizeof(value);

	if (strcmp(what, "connect") == 0) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		must(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0, "connect");
		return close(fd) ? EBADF : ECONNREFUSED;
	}
	if (strcmp(what, "closed") == 0)
		return close(other) ? errno : 0;
	if (strcmp(what, "both") == 0 && i % 2)
		return setsockopt(listener, IPPROTO_TCP, 9999, &value, len) ? errno : 0;
	return accept(listener, NULL, NULL) < 0 ? errno : 0;
}

static void prepare(void)
{
	if (strcmp(what, "accept") == 0) {
		serve(3);
		use_up();
		return;
	}
	serve(0);
	close(other);
	if (strcmp(what, "connect") == 0) {
		close(listener);
	} else {
		close(accept(listener, NULL, NULL));
		fcntl(listener, F_SETFL, O_NONBLOCK);
	}
}

static void handler(int signal)
{
	const int err = errno;

	(void)signal;
	handled += accept(listener, NULL, NULL) < 0;
	errno = err;
}

static void interrupt_each(long usec)
{
	const struct itimerval often = {.it_interval = {0, usec}, .it_value = {0, usec}};

	signal(SIGALRM, handler);
	must(setitimer(ITIMER_REAL, &often, NULL) == 0, "setitimer");
}

static void storm(void)
{
	const int interrupted = strcmp(what, "handled") == 0;

	if (interrupted)
		interrupt_each(100);
	for (long i = 0; i < times; i++)
		must(fail(i) != 0, what);
	if (interrupted)
		interrupt_each(0);
	printf("%ld\n", times + handled);
	fflush(stdout);
}

static void *storm_thread(void *arg)
{
	storm();
	if (arg)
		pause();
	return NULL;
}

static void in_thread(int stays)
{
	static char byte;
	pthread_t thread;

	must(pthread_create(&thread, NULL, storm_thread, stays ? &byte : NULL) == 0, "thread");
	if (!stays)
		pthread_join(thread, NULL);
}

static void *storm_in_crowd(void *arg)
{
	storm();
	pthread_barrier_wait(&crowd);
	pause();
	return arg;
}

static void in_crowd(void)
{
	enum { MANY = 100 };
	pthread_t thread;

	pthread_barrier_init(&crowd, NULL, MANY + 1);
	for (int i = 0; i < MANY; i++)
		must(pthread_create(&thread, NULL, storm_in_crowd, NULL) == 0, "thread");
	pthread_barrier_wait(&crowd);
	exit(0);
}

static void forked(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		close(listener);
		exit(0);
	}
	waitpid(pid, NULL, 0);
	close(listener);
}

int main(int argc, char **argv)
{
	const char *end = argc == 4 ? argv[3] : "";

	must(argc == 4, "arguments");
	what = argv[1];
	times = atol(argv[2]);
	prepare();
	if (strcmp(end, "thread") == 0) {
		in_thread(0);
		kill(getpid(), SIGKILL);
	} else if (strcmp(end, "thread-exit") == 0) {
		in_thread(1);
		getchar();
		exit(0);
	}
	if (strcmp(end, "crowd") == 0)
		in_crowd();
	storm();
	if (strcmp(end, "close") == 0)
		close(listener);
	else if (strcmp(end, "exit") == 0)
		exit(0);
	else if (strcmp(end, "_exit") == 0)
		_exit(0);
	else if (strcmp(end, "exec") == 0)
		execl("/bin/true", "true", (char *)NULL);
	else if (strcmp(end, "kill") == 0)
		kill(getpid(), SIGKILL);
	else if (strcmp(end, "fork") == 0)
		forked();
	else if (strcmp(end, "wait") == 0)
		pause();
	return 0;
}
