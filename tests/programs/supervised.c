/* SPDX-License-Identifier: MIT */
/*
 * supervised.c - what a supervisor may disturb, a word each: signals, threads, children, other
 * programs executed. What came of it is printed; it is the same without a supervisor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void handle(int number, int flags)
{
	const struct sigaction act = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(number, &act, NULL);
}

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((in_port_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listener(void)
{
	struct sockaddr_in addr = loopback(0);
	int l = tcp();

	if (bind(l, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(l, 50) < 0)
		exit(1);
	return l;
}

static int port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	getsockname(fd, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin_port);
}

/* 3,000 binds that must work, and as many that must be refused, under a timer of 300 us. */
static int storm(void)
{
	const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	struct sockaddr_in any = loopback(0), taken = loopback(port_of(listener()));
	int wrong = 0;

	handle(SIGALRM, 0);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 3000; i++) {
		int a = tcp(), b = tcp();

		wrong += bind(a, (struct sockaddr *)&any, sizeof(any)) != 0;
		wrong += bind(b, (struct sockaddr *)&taken, sizeof(taken)) != -1 ||
			 errno != EADDRINUSE;
		wrong += close(a) != 0;
		wrong += close(b) != 0;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%d wrong, signals: %s\n", wrong, signals ? "yes" : "no");
	return wrong != 0;
}

/* An accept that a signal interrupts, once, with SA_RESTART or without; its port first. */
static int interrupted(int flags)
{
	int l = listener(), a;

	handle(SIGUSR1, flags);
	printf("%d\n", port_of(l));
	fflush(stdout);
	a = accept(l, NULL, NULL);
	printf("%s after %d\n",
	       a >= 0		? "accepted"
	       : errno == EINTR ? "EINTR"
				: strerror(errno),
	       (int)signals);
	close(a);
	return 0;
}

static void close_in_handler(int number)
{
	int fd = tcp();

	(void)number;
	close(fd);
	signals++;
}

/* The handler makes calls of its own, in the midst of an accept that goes on then. */
static int nested(void)
{
	const struct sigaction act = {.sa_handler = close_in_handler, .sa_flags = SA_RESTART};
	int l = listener(), a;

	sigaction(SIGUSR1, &act, NULL);
	printf("%d\n", port_of(l));
	fflush(stdout);
	a = accept(l, NULL, NULL);
	printf("%s after %d\n",
	       a >= 0		? "accepted"
	       : errno == EINTR ? "EINTR"
				: strerror(errno),
	       (int)signals);
	close(a);
	return 0;
}

static void *one_socket(void *arg)
{
	pthread_barrier_wait(arg);
	return (void *)(intptr_t)close(tcp());
}

static int threads(int count)
{
	pthread_t *all = calloc((size_t)count, sizeof(*all));
	pthread_barrier_t start;
	pthread_attr_t small;
	int wrong = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&start, NULL, (unsigned int)count);
	for (int i = 0; i < count; i++)
		if (pthread_create(&all[i], &small, one_socket, &start))
			exit(3);
	for (int i = 0; i < count; i++) {
		void *ret;

		pthread_join(all[i], &ret);
		wrong += ret != NULL;
	}
	printf("%d threads, %d wrong\n", count, wrong);
	return 0;
}

static int child_of_clone(void *arg)
{
	close(*(int *)arg);
	return 5;
}

static int status_of(pid_t pid, int how)
{
	int status = 0;

	if (waitpid(pid, &status, how) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Children of each kind, and that there is none to be waited for but these. */
static int children(char **argv)
{
	static char stack[65536];
	int fd = tcp(), other = tcp();
	pid_t pid = fork();

	if (pid == 0)
		_exit(close(fd) == 0 ? 3 : 1);
	printf("fork: %d\n", status_of(pid, 0));
	pid = vfork();
	if (pid == 0) {
		execl(argv[0], argv[0], "exit", "4", NULL);
		_exit(1);
	}
	printf("vfork: %d\n", status_of(pid, 0));
	pid = clone(child_of_clone, stack + sizeof(stack), SIGCHLD | CLONE_FILES, &other);
	printf("clone: %d, ", status_of(pid, 0));
	printf("open: %s\n", close(other) ? "no" : "yes");
	pid = clone(child_of_clone, stack + sizeof(stack), SIGCHLD, &fd);
	printf("clone: %d, ", status_of(pid, 0));
	printf("open: %s\n", close(fd) ? "no" : "yes");
	pid = fork();
	if (pid == 0)
		raise(SIGKILL);
	printf("killed: %d\n", status_of(pid, 0));
	printf("another: %d\n", (int)waitpid(-1, NULL, 0));
	return 0;
}

static void *execute(void *argv)
{
	char **words = argv;

	close(tcp());
	execv(words[0], words);
	return NULL;
}

static void *for_ever(void *l)
{
	accept(*(int *)l, NULL, NULL);
	return NULL;
}

/* The program is executed by a thread, while others wait in calls. */
static int by_thread(char **argv)
{
	static char word[] = "exit", status[] = "6", *words[] = {NULL, word, status, NULL};
	int l = listener();
	pthread_t thread;

	words[0] = argv[0];
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, for_ever, &l);
	pthread_create(&thread, NULL, execute, words);
	pthread_join(thread, NULL);
	return 1;
}

static long filter(struct sock_filter *code, unsigned short len, unsigned int flags)
{
	const struct sock_fprog all = {.len = len, .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &all);
}

/* A listener of the program's own that lets getppid through. */
static int own_listener(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	int fd = (int)filter(code, 4, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	printf("a listener: %s, a socket: %s\n",
	       fd >= 0		? "yes"
	       : errno == EINTR ? "EINTR"
				: strerror(errno),
	       close(tcp()) ? "no" : "yes");
	return 0;
}

/* Connections to itself, one after the other; for what being followed costs. */
static _Noreturn void turns(int count)
{
	int l = listener();
	const struct sockaddr_in addr = loopback(port_of(l));
	const struct linger at_once = {1, 0};

	for (int i = 0; i < count; i++) {
		int c = tcp();

		setsockopt(c, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (connect(c, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
			exit(4);
		close(accept(l, NULL, NULL));
		close(c);
		getppid();
	}
	printf("done\n");
	fflush(stdout);
	for (;;)
		pause();
}

static volatile long pairs;

static void *always(void *unused)
{
	for (;;) {
		close(tcp());
		__atomic_add_fetch(&pairs, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void others(int count)
{
	pthread_t thread;

	while (count--)
		pthread_create(&thread, NULL, always, NULL);
	while (pairs < 100)
		sched_yield();
}

/* How often do others that call all the time have their turn while we have ours 20 times? */
static int in_turn(int count)
{
	long before;

	others(count);
	before = pairs;
	for (int i = 0; i < 20; i++)
		close(tcp());
	printf("%ld\n", pairs - before);
	fflush(stdout);
	_exit(0);
}

/* And one in a second, and in the second of a bind that is held (TCPSHIM_WAIT)? */
static int beside_held(int port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = tcp();
	long before, alone;

	others(1);
	before = pairs;
	sleep(1);
	alone = pairs - before;
	before = pairs;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno != EADDRINUSE)
		return 1;
	printf("%ld %ld\n", alone, pairs - before);
	fflush(stdout);
	_exit(0);
}

/* Children and threads, one after the other. */
static _Noreturn void many(int count)
{
	for (int i = 0; i < count; i++) {
		pthread_barrier_t alone;
		pthread_t thread;
		pid_t pid = fork();

		if (pid == 0)
			_exit(close(tcp()));
		waitpid(pid, NULL, 0);
		pthread_barrier_init(&alone, NULL, 1);
		pthread_create(&thread, NULL, one_socket, &alone);
		pthread_join(thread, NULL);
	}
	printf("%d\n", count);
	fflush(stdout);
	for (;;)
		pause();
}

/* Two sockets, and the end. */
static int leave(void)
{
	listener();
	return tcp() < 0;
}

/* Equal failures, which are counted; and the end when there is a line to be read. */
static int failures(void)
{
	struct sockaddr_in taken = loopback(port_of(listener()));
	int fd = tcp();

	for (int i = 0; i < 50; i++)
		bind(fd, (struct sockaddr *)&taken, sizeof(taken));
	printf("%d\n", ntohs(taken.sin_port));
	fflush(stdout);
	return getchar() != '\n';
}

static void *end_all(void *barrier)
{
	pthread_barrier_wait(barrier);
	_exit(0);
}

/* That many threads end the process at the same time. */
static int ended_by(int count)
{
	pthread_barrier_t start;
	pthread_t thread;

	tcp();
	pthread_barrier_init(&start, NULL, (unsigned int)count);
	while (--count)
		pthread_create(&thread, NULL, end_all, &start);
	end_all(&start);
	return 1;
}

/* Until a signal ends it. */
static _Noreturn void rest(void)
{
	printf("%d\n", port_of(listener()));
	fflush(stdout);
	for (;;)
		pause();
}

/* The same, and a child that outlives it, without its listener. */
static _Noreturn void outlived(void)
{
	int l = listener();
	pid_t child = fork();

	if (child == 0) {
		close(l);
	} else {
		printf("%d\n%d\n", child, port_of(l));
		fflush(stdout);
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *more = argc > 2 ? argv[2] : "0";

	if (strcmp(what, "exit") == 0)
		return close(tcp()) ? 99 : atoi(more);
	if (strcmp(what, "die") == 0) {
		close(tcp());
		raise(atoi(more));
		return 99;
	}
	if (strcmp(what, "storm") == 0)
		return storm();
	if (strcmp(what, "restart") == 0)
		return interrupted(SA_RESTART);
	if (strcmp(what, "interrupt") == 0)
		return interrupted(0);
	if (strcmp(what, "nested") == 0)
		return nested();
	if (strcmp(what, "threads") == 0)
		return threads(atoi(more));
	if (strcmp(what, "children") == 0)
		return children(argv);
	if (strcmp(what, "thread-executes") == 0)
		return by_thread(argv);
	if (strcmp(what, "hidden") == 0) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		return close(listener()) ? 99 : 0;
	}
	if (strcmp(what, "listener") == 0)
		return own_listener();
	if (strcmp(what, "turns") == 0)
		turns(atoi(more));
	if (strcmp(what, "many") == 0)
		many(atoi(more));
	if (strcmp(what, "in-turn") == 0)
		return in_turn(atoi(more));
	if (strcmp(what, "beside-held") == 0)
		return beside_held(atoi(more));
	if (strcmp(what, "failures") == 0)
		return failures();
	if (strcmp(what, "ended-by") == 0)
		return ended_by(atoi(more));
	if (strcmp(what, "leave") == 0)
		return leave();
	if (strcmp(what, "execute") == 0)
		return execv(more, argv + 2);
	if (strcmp(what, "outlived") == 0)
		outlived();
	if (strcmp(what, "rest") == 0)
		rest();
	return 2;
}
