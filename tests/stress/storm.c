/* SPDX-License-Identifier: MIT */
/*
 * storm.c - everything at once: threads that make, connect, accept, copy, shut down and close TCP
 * sockets, while a signal 1,000 times a second does the same to sockets of its own, threads are
 * cancelled in accept and close, and processes are forked, vforked and executed.
 *
 *	storm SECONDS CALLS_PER_SECOND [alone]
 *
 * alone: without processes. Every call that has returned is counted, in memory that all
 * processes of the storm share; at the end the counts are printed, a line a call. Between the
 * storm and its last two calls it says "over" and waits for a line on standard input. A thread
 * that does not come to its end is named, and the process aborts.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS                                                                                      \
	X(socket)                                                                                  \
	X(bind)                                                                                    \
	X(listen)                                                                                  \
	X(connect)                                                                                 \
	X(accept)                                                                                  \
	X(accept4)                                                                                 \
	X(setsockopt)                                                                              \
	X(getsockopt)                                                                              \
	X(shutdown)                                                                                \
	X(close)                                                                                   \
	X(dup)                                                                                     \
	X(dup2)                                                                                    \
	X(dup3)                                                                                    \
	X(fcntl)                                                                                   \
	X(fclose)                                                                                  \
	X(close_range)

enum {
#define X(call) N_##call,
	CALLS
#undef X
		N_COUNT
};

/* ThreadSanitizer makes a fork of each vfork, whose calls are then the shim's business. */
#ifdef __SANITIZE_THREAD__
enum { VFORKS = 0 };
#else
enum { VFORKS = 1 };
#endif

/* AddressSanitizer does not notice that a cancelled thread's frames have gone. */
#ifdef __SANITIZE_ADDRESS__
enum { CANCELS = 0 };
#else
enum { CANCELS = 1 };
#endif

enum { LISTENERS = 4, THREADS = 16, HELD = 4, PATIENCE_S = 30 };

/* Of all processes. */
struct shared {
	_Atomic(uint64_t) counts[N_COUNT];
	_Atomic(uint64_t) forks, vforks, cancelled, signals;
};

static struct shared *shared;
static char shared_number[16];
static const char *self_path;
static int listeners[LISTENERS];
static struct sockaddr_in names[LISTENERS];
static _Atomic(bool) stop;
static _Atomic(long) budget; /* calls that may still be made now */

/* Make a call and count it once it has returned; errno is left as it is. */
#define DO(call, expression)                                                                       \
	({                                                                                         \
		const __typeof__(expression) rc_ = (expression);                                   \
		atomic_fetch_add(&shared->counts[N_##call], 1);                                    \
		rc_;                                                                               \
	})

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static bool one_in(uint64_t *random, unsigned int n)
{
	return (next_random(random) >> 33) % n == 0;
}

static struct sockaddr_in loopback(uint32_t last, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(0x7f000000 | last),
	};
}

static int make(int flags)
{
	return DO(socket, socket(AF_INET, SOCK_STREAM | flags, 0));
}

static int close_it(int fd)
{
	return fd < 0 ? 0 : DO(close, close(fd));
}

static int connect_to(int fd, const struct sockaddr_in *name)
{
	return DO(connect, connect(fd, (const struct sockaddr *)name, sizeof(*name)));
}

static void reset_on_close(int fd)
{
	static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	DO(setsockopt, setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
}

/* The signal's own sockets: it may come anywhere, also inside a call on another socket. */
static void on_alarm(int number)
{
	static _Atomic(uint32_t) turn;
	const uint32_t now = atomic_fetch_add(&turn, 1);
	const int errno_before = errno;
	const int fd = make(SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)number;
	if (fd < 0)
		return;
	if (now % 2) {
		connect_to(fd, &names[now / 2 % LISTENERS]);
		DO(shutdown, shutdown(fd, now % 4 == 1 ? SHUT_WR : SHUT_RDWR));
		if (now % 8 != 1)
			reset_on_close(fd);
	} else {
		DO(listen, listen(fd, 1));
		DO(shutdown, shutdown(fd, SHUT_RDWR));
	}
	close_it(fd);
	atomic_fetch_add(&shared->signals, 1);
	errno = errno_before;
}

/* A connection, and one of the ends that it can have. */
static void converse(uint64_t *random)
{
	const bool waits = one_in(random, 3);
	const int fd = make(waits ? 0 : SOCK_NONBLOCK);
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	int error;
	socklen_t len = sizeof(error);

	connect_to(fd, &names[next_random(random) >> 40 & (LISTENERS - 1)]);
	if (!waits) {
		poll(&poll_fd, 1, 20);
		DO(getsockopt, getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	}
	if (one_in(random, 2))
		send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (one_in(random, 2))
		DO(shutdown, shutdown(fd, (int)(next_random(random) >> 40) % 3));
	if (one_in(random, 8))
		connect_to(fd, &names[0]);
	if (!one_in(random, 8))
		reset_on_close(fd);
	if (one_in(random, 4))
		DO(close, (int)syscall(SYS_close, fd));
	else
		close_it(fd);
}

static void refused(void)
{
	const struct sockaddr_in nobody = loopback(1, 1);
	const int fd = make(0);

	connect_to(fd, &nobody);
	DO(accept4, accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	DO(shutdown, shutdown(fd, SHUT_RDWR));
	close_it(fd);
}

/* Copies, and the ways to close one. Each thread has numbers of its own to copy onto. */
static void copies(uint64_t *random, int onto)
{
	const int fd = make(SOCK_CLOEXEC), copy = DO(dup, dup(fd));
	const int high = DO(fcntl, fcntl(fd, F_DUPFD_CLOEXEC, onto + 4));
	FILE *file;

	if (one_in(random, 2))
		connect_to(fd, &names[1]);
	reset_on_close(fd);
	DO(dup2, dup2(fd, onto));
	DO(dup3, dup3(copy, onto + 1, O_CLOEXEC));
	DO(dup2, dup2(onto + 1, onto)); /* closes one of the same socket's */
	close_it(fd);
	file = fdopen(copy, "r");
	if (file)
		DO(fclose, fclose(file));
	DO(close_range, close_range((unsigned int)onto, (unsigned int)onto, 0));
	close_it(onto + 1);
	close_it(high);
}

/* Two that want the same port. */
static void rivals(unsigned int thread)
{
	const struct sockaddr_in name = loopback(0x10100 + thread, (uint16_t)(10000 + thread));
	const int first = make(0), second = make(0);

	DO(bind, bind(first, (const struct sockaddr *)&name, sizeof(name)));
	DO(listen, listen(first, 1));
	DO(bind, bind(second, (const struct sockaddr *)&name, sizeof(name)));
	close_it(first);
	close_it(second);
}

/* At full speed while there is a budget: storms come in gusts. */
static bool go_on(int calls)
{
	static const struct timespec nap = {0, 1000000};

	while (!atomic_load(&stop) && atomic_load(&budget) <= 0)
		nanosleep(&nap, NULL);
	atomic_fetch_sub(&budget, calls);
	return !atomic_load(&stop);
}

static void *works(void *arg)
{
	const unsigned int thread = (unsigned int)(uintptr_t)arg;
	uint64_t random = 77777u + thread;

	while (go_on(8)) {
		if (one_in(&random, 50))
			rivals(thread);
		else if (one_in(&random, 10))
			refused();
		else if (one_in(&random, 4))
			copies(&random, 2000 + 16 * (int)thread);
		else
			converse(&random);
	}
	return NULL;
}

/* Connections that it has accepted are kept for a while, so that the peer closes first. */
static void *accepts(void *arg)
{
	const unsigned int thread = (unsigned int)(uintptr_t)arg;
	const int from = listeners[thread % LISTENERS];
	uint64_t random = 55555u + thread;
	int held[HELD] = {-1, -1, -1, -1};

	for (unsigned int turn = 0; !atomic_load(&stop); turn++) {
		int *place = &held[turn % HELD];

		if (*place >= 0 && one_in(&random, 3))
			DO(shutdown, shutdown(*place, SHUT_WR));
		if (*place >= 0 && one_in(&random, 2))
			reset_on_close(*place);
		close_it(*place);
		*place = turn % 2 ? DO(accept, accept(from, NULL, NULL))
				  : DO(accept4, accept4(from, NULL, NULL, SOCK_NONBLOCK));
	}
	for (int i = 0; i < HELD; i++)
		close_it(held[i]);
	return NULL;
}

static void close_at(void *arg)
{
	close_it(*(int *)arg);
}

/*
 * Waits in accept until it is cancelled there. Only there: what has closed a descriptor and is
 * cancelled all the same would not know that it has.
 */
static void *cancelled_in_accept(void *arg)
{
	const int from = *(int *)arg;
	int fd = -1;

	pthread_cleanup_push(close_at, &fd);
	for (;;) {
		fd = DO(accept, accept(from, NULL, NULL));
		if (fd < 0)
			pthread_testcancel();
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		close_it(fd);
		fd = -1;
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* Cancelled already when it calls close, which so closes nothing. */
static void *cancelled_in_close(void *arg)
{
	int fd = make(0);

	(void)arg;
	pthread_cleanup_push(close_at, &fd);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	DO(close, close(fd));
	pthread_cleanup_pop(0);
	return NULL;
}

/* Its victims take no signals: a handler would run inside the accept, and be cancelled there. */
static void *cancels(void *arg)
{
	const unsigned int thread = (unsigned int)(uintptr_t)arg;
	uint64_t random = 33333u + thread;
	sigset_t alarm_only;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	while (go_on(4)) {
		const struct timespec nap = {0, (long)(next_random(&random) >> 40) % 3000000};
		pthread_t victim;
		void *result;

		if (!CANCELS) {
			close_it(make(0));
			continue;
		}
		if (pthread_create(&victim, NULL, cancelled_in_accept,
				   &listeners[thread % LISTENERS]) == 0) {
			nanosleep(&nap, NULL);
			pthread_cancel(victim);
			pthread_join(victim, &result);
			atomic_fetch_add(&shared->cancelled, result == PTHREAD_CANCELED);
		}
		if (pthread_create(&victim, NULL, cancelled_in_close, NULL) == 0) {
			pthread_join(victim, &result);
			atomic_fetch_add(&shared->cancelled, result == PTHREAD_CANCELED);
		}
	}
	return NULL;
}

static void await(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child > 0 && status != 0) {
		fprintf(stderr, "storm: a child ended with status %#x\n", (unsigned int)status);
		abort();
	}
}

/* What a process of its own does. Only what may be called after a fork among threads. */
static void child_calls(void)
{
	const int fd = make(0);

	connect_to(fd, &names[2]);
	close_it(DO(dup, dup(fd)));
	reset_on_close(fd);
	close_it(fd);
}

static void *forks(void *arg)
{
	(void)arg;
	while (go_on(8)) {
		const int fd = make(0);
		const pid_t child = fork();

		if (child == 0) {
			close_it(fd);
			child_calls();
			_exit(0);
		}
		await(child);
		close_it(fd);
		atomic_fetch_add(&shared->forks, 1);
	}
	return NULL;
}

/*
 * The child runs in our memory, on descriptors of its own: its calls are none of the shim's
 * business until it has called exec.
 */
__attribute__((noinline)) static pid_t vfork_child(int fd, int copy, bool execs)
{
	static const char *const mode = "child";
	const char *const args[] = {self_path, mode, shared_number, NULL};
	const pid_t child = vfork();

	if (child == 0) {
		close(fd);
		dup2(copy, fd);
		close(copy);
		if (execs)
			execv(self_path, (char *const *)(uintptr_t)args);
		_exit(execs ? 127 : 0);
	}
	return child;
}

static void *vforks(void *arg)
{
	uint64_t random = 99999;

	(void)arg;
	while (go_on(4)) {
		const int fd = make(0), copy = DO(dup, dup(fd));

		if (VFORKS)
			await(vfork_child(fd, copy, one_in(&random, 16)));
		close_it(copy);
		DO(listen, listen(fd, 1));
		close_it(fd);
		atomic_fetch_add(&shared->vforks, 1);
	}
	return NULL;
}

static void fail(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void share(int fd)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	snprintf(shared_number, sizeof(shared_number), "%d", fd);
}

static void make_listeners(void)
{
	for (int i = 0; i < LISTENERS; i++) {
		socklen_t len = sizeof(names[i]);

		names[i] = loopback(0x10001 + (uint32_t)i, 0);
		listeners[i] = make(0);
		if (DO(bind, bind(listeners[i], (struct sockaddr *)&names[i], len)) < 0 ||
		    DO(listen, listen(listeners[i], 1024)) < 0 ||
		    getsockname(listeners[i], (struct sockaddr *)&names[i], &len) < 0)
			fail("a listener");
	}
}

static void start_signals(long period_us)
{
	const struct timeval period = {.tv_usec = period_us};
	const struct itimerval timer = {.it_interval = period, .it_value = period};
	const struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

struct role {
	const char *name;
	void *(*body)(void *arg);
	unsigned int count;
	bool processes;
};

static const struct role roles[] = {
	{"accepts", accepts, 4, false}, {"cancels", cancels, 2, false}, {"works", works, 8, false},
	{"forks", forks, 1, true},	{"vforks", vforks, 1, true},
};

enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

struct running {
	const struct role *role;
	pthread_t thread;
};

static unsigned int start(struct running *ret, bool alone)
{
	unsigned int count = 0;

	for (int i = 0; i < ROLES; i++) {
		const struct role *role = &roles[i];

		/* Without processes their threads do other work. */
		for (unsigned int n = 0; n < role->count; n++, count++) {
			ret[count].role = role->processes && alone ? &roles[2] : role;
			if (pthread_create(&ret[count].thread, NULL, ret[count].role->body,
					   (void *)(uintptr_t)count))
				fail("pthread_create");
		}
	}
	return count;
}

static void blow(double seconds, long per_second)
{
	static const struct timespec tick = {0, 20000000};
	struct timespec begun, now;
	double passed = 0;
	long given = 0;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	while (passed < seconds) {
		const long due = (long)((passed + 0.02) * (double)per_second);

		atomic_fetch_add(&budget, due - given);
		given = due;
		nanosleep(&tick, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		passed = (double)(now.tv_sec - begun.tv_sec) +
			 (double)(now.tv_nsec - begun.tv_nsec) / 1e9;
	}
}

static void end(const struct running *running, unsigned int count)
{
	struct timespec until;

	atomic_store(&stop, true);
	for (int i = 0; i < LISTENERS; i++)
		DO(shutdown, shutdown(listeners[i], SHUT_RDWR));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	for (unsigned int i = 0; i < count; i++) {
		const int err = pthread_timedjoin_np(running[i].thread, NULL, &until);

		if (err) {
			fprintf(stderr, "storm: the thread %u, which %s, does not end: %s\n", i,
				running[i].role->name, strerror(err));
			abort();
		}
	}
}

static void tell(void)
{
	static const char *const call_names[] = {
#define X(call) #call,
		CALLS
#undef X
	};

	for (int i = 0; i < N_COUNT; i++)
		printf("%s %llu\n", call_names[i], (unsigned long long)shared->counts[i]);
	printf("- %llu forks, %llu vforks, %llu threads cancelled, %llu signals\n",
	       (unsigned long long)shared->forks, (unsigned long long)shared->vforks,
	       (unsigned long long)shared->cancelled, (unsigned long long)shared->signals);
}

static int storm(double seconds, long per_second, bool alone)
{
	static struct running running[THREADS];
	static const struct timespec for_the_reader = {0, 100000000};
	const struct itimerval none = {0};
	unsigned int count;
	int fd;

	make_listeners();
	start_signals(1000);
	count = start(running, alone);
	blow(seconds, per_second);
	end(running, count);
	setitimer(ITIMER_REAL, &none, NULL);
	puts("over");
	fflush(stdout);
	if (getchar() == EOF && ferror(stdin))
		fail("standard input");
	fd = make(0);
	nanosleep(&for_the_reader, NULL);
	close_it(fd);
	tell();
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	int fd;

	if (argc == 3 && strcmp(argv[1], "child") == 0) {
		share(atoi(argv[2]));
		names[2] = loopback(0x10001, 1);
		child_calls();
		return 0;
	}
	if (argc < 3) {
		fputs("usage: storm SECONDS CALLS_PER_SECOND [alone]\n", stderr);
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &limit);
	self_path = realpath(argv[0], NULL);
	fd = memfd_create("storm", 0);
	if (fd < 0 || ftruncate(fd, sizeof(struct shared)) < 0)
		fail("memfd_create");
	share(fd);
	return storm(atof(argv[1]), atol(argv[2]), argc > 3);
}
