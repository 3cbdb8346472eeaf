/* SPDX-License-Identifier: MIT */
/*
 * work.c - the works that are measured. Each does something COUNT times, and says what it
 * cost in one line of NAME=NUMBER: the time by the wall (wall), of this process's CPU (cpu,
 * user, system; all in ns), page faults (faults), the memory of its own that it has (KB).
 * What comes before the first turn is not counted.
 *
 *	work life COUNT			socket, bind, listen, close
 *	work bind COUNT			socket, bind, close
 *	work socket COUNT		socket, close
 *	work setsockopt COUNT		on one TCP socket
 *	work close COUNT		dup and close of a pipe's end
 *	work closes COUNT		the same, the dup made by a system call instruction
 *	work echo COUNT			64 bytes there and back on an open connection
 *	work start COUNT [NAME=VALUE…]	processes of /bin/true with that for their environment
 *	work serve COUNT THREADS	says its port; accept, echo, close
 *	work visit PORT COUNT THREADS	the client of serve: connect, send, receive, close
 *	work open COUNT N		setsockopt on any of N open sockets
 *	work churn COUNT N		socket and close beside N open sockets
 *	work threads COUNT N		setsockopt, COUNT in all, by N threads at once
 *	work processes COUNT N		the same by N processes
 *
 * The calls that a log shows are those of bare.h. A work that fails ends with 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "sys/sys.h"

enum { MESSAGE = 64, MOST_THREADS = 64, MOST_PROCESSES = 100, BACKLOG = 1024 };

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the clock ---- */

struct reading {
	int64_t wall, user, system, faults;
};

static int64_t ns_of_timeval(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

static int64_t clock_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct reading read_clocks(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return (struct reading){
		.wall = clock_now(CLOCK_MONOTONIC),
		.user = ns_of_timeval(self.ru_utime) + ns_of_timeval(children.ru_utime),
		.system = ns_of_timeval(self.ru_stime) + ns_of_timeval(children.ru_stime),
		.faults = self.ru_minflt + children.ru_minflt,
	};
}

/* Memory that is this process's alone; shared pages of files come and go by chance. */
static long memory_kb(void)
{
	char line[128];
	long kb = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %ld", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

static void say(const struct reading *from, const struct reading *to)
{
	printf("wall=%lld cpu=%lld user=%lld system=%lld faults=%lld memory=%ld\n",
	       (long long)(to->wall - from->wall),
	       (long long)(to->user - from->user + to->system - from->system),
	       (long long)(to->user - from->user), (long long)(to->system - from->system),
	       (long long)(to->faults - from->faults), memory_kb());
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int tcp_socket(void)
{
	const int fd = do_socket(AF_INET, SOCK_STREAM);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in name;
	socklen_t len = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		fail("getsockname");
	return ntohs(name.sin_port);
}

static void bind_to(int fd, int port)
{
	const struct sockaddr_in name = loopback(port);

	if (do_bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		fail("bind");
}

/*
 * A port that was free a moment ago, below those that the kernel picks: of these any
 * may be held by a TIME_WAIT of the works before.
 */
static int free_port(void)
{
	for (int port = 10000 + getpid() % 10000; port < 32000; port++) {
		const struct sockaddr_in name = loopback(port);
		const int fd = tcp_socket();
		const int rc = bind(fd, (const struct sockaddr *)&name, sizeof(name));

		close(fd);
		if (rc == 0)
			return port;
	}
	fail("no free port");
}

static int listener(void)
{
	const int fd = tcp_socket();

	bind_to(fd, 0);
	if (do_listen(fd, BACKLOG) < 0)
		fail("listen");
	return fd;
}

static void option(int fd)
{
	static const int on = 1;

	if (do_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fail("setsockopt");
}

static void receive_all(int fd, char *bytes, size_t len)
{
	for (size_t had = 0; had < len;) {
		const ssize_t got = recv(fd, bytes + had, len - had, 0);

		if (got <= 0)
			fail("recv");
		had += (size_t)got;
	}
}

static void send_all(int fd, const char *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
}

/* ---- works of one thread ---- */

static void measured(void (*turn)(int arg), int arg, long count)
{
	struct reading from, to;

	turn(arg); /* pages and caches that the first one makes */
	from = read_clocks();
	for (long i = 0; i < count; i++)
		turn(arg);
	to = read_clocks();
	say(&from, &to);
}

static void turn_life(int port)
{
	const int fd = tcp_socket();

	bind_to(fd, port);
	if (do_listen(fd, BACKLOG) < 0)
		fail("listen");
	do_close(fd);
}

static void turn_bind(int port)
{
	const int fd = tcp_socket();

	bind_to(fd, port);
	do_close(fd);
}

static void turn_socket(int unused)
{
	(void)unused;
	do_close(tcp_socket());
}

static void turn_close(int end)
{
	do_close(do_dup(end));
}

static void turn_closes(int end)
{
	do_close((int)SYS3(SYS_dup, end, 0, 0));
}

static void work_life(long count, long unused)
{
	(void)unused;
	measured(turn_life, free_port(), count);
}

static void work_bind(long count, long unused)
{
	(void)unused;
	measured(turn_bind, free_port(), count);
}

static void work_socket(long count, long unused)
{
	(void)unused;
	measured(turn_socket, 0, count);
}

static void work_setsockopt(long count, long unused)
{
	(void)unused;
	measured(option, tcp_socket(), count);
}

static int pipe_end(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		fail("pipe");
	return ends[1];
}

static void work_close(long count, long unused)
{
	(void)unused;
	measured(turn_close, pipe_end(), count);
}

static void work_closes(long count, long unused)
{
	(void)unused;
	measured(turn_closes, pipe_end(), count);
}

static int echo_client, echo_server;

static void turn_echo(int unused)
{
	static char bytes[MESSAGE];

	(void)unused;
	send_all(echo_client, bytes, MESSAGE);
	receive_all(echo_server, bytes, MESSAGE);
	send_all(echo_server, bytes, MESSAGE);
	receive_all(echo_client, bytes, MESSAGE);
}

/* Both ends in one thread, so that the scheduler has no part in it. */
static void work_echo(long count, long unused)
{
	const int from = listener();
	const struct sockaddr_in name = loopback(port_of(from));

	(void)unused;
	echo_client = tcp_socket();
	if (connect(echo_client, (const struct sockaddr *)&name, sizeof(name)) < 0)
		fail("connect");
	echo_server = do_accept(from);
	if (echo_server < 0)
		fail("accept");
	option(echo_client);
	option(echo_server);
	measured(turn_echo, 0, count);
}

static char **start_environment;

static void turn_start(int unused)
{
	static char name[] = "/bin/true";
	char *argv[] = {name, NULL};
	pid_t pid;
	int status;

	(void)unused;
	errno = posix_spawn(&pid, name, NULL, NULL, argv, start_environment);
	if (errno || waitpid(pid, &status, 0) != pid || status != 0)
		fail(name);
}

/* ---- a server and its clients ---- */

static int serving;
static long turns_a_thread;

static void serve_one(int from)
{
	char bytes[MESSAGE];
	const int fd = do_accept(from);
	ssize_t got;

	if (fd < 0)
		fail("accept");
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		send_all(fd, bytes, (size_t)got);
	do_close(fd);
}

static void *serve(void *unused)
{
	for (long i = 0; i < turns_a_thread; i++)
		serve_one(serving);
	return unused;
}

static void in_threads(void *(*run)(void *), long threads)
{
	pthread_t thread[MOST_THREADS];

	for (long i = 1; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run, (void *)(intptr_t)i) != 0)
			fail("pthread_create");
	run((void *)0);
	for (long i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
}

/* The first connection is the start, and not counted. */
static void work_serve(long count, long threads)
{
	struct reading from, to;

	serving = listener();
	printf("%d\n", port_of(serving));
	fflush(stdout);
	turns_a_thread = count / threads;
	serve_one(serving);
	from = read_clocks();
	in_threads(serve, threads);
	to = read_clocks();
	say(&from, &to);
}

static struct sockaddr_in visited, visitor;

static void visit_one(void)
{
	char bytes[MESSAGE] = {0};
	const int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&visitor, sizeof(visitor)) < 0 ||
	    connect(fd, (struct sockaddr *)&visited, sizeof(visited)) < 0)
		fail("connect");
	send_all(fd, bytes, sizeof(bytes));
	receive_all(fd, bytes, sizeof(bytes));
	close(fd);
}

static void *visit(void *unused)
{
	for (long i = 0; i < turns_a_thread; i++)
		visit_one();
	return unused;
}

/*
 * From an address of its own in 127.0.0.0/8: the TIME_WAITs that an earlier run has left then
 * take none of the ports among which this one looks.
 */
static void work_visit(int port, long count, long threads)
{
	struct reading from, to;

	visited = loopback(port);
	visitor = loopback(0);
	visitor.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256u * ((uint32_t)getpid() & 0x3fff));
	turns_a_thread = count / threads;
	visit_one();
	from = read_clocks();
	in_threads(visit, threads);
	to = read_clocks();
	say(&from, &to);
}

/* ---- how the cost grows ---- */

static int *open_sockets;
static long n_open;

static void hold(long n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("setrlimit");
	n_open = n;
	open_sockets = malloc((size_t)n * sizeof(*open_sockets));
	if (!open_sockets)
		fail("malloc");
	for (long i = 0; i < n; i++)
		open_sockets[i] = tcp_socket();
}

/* The next one is far from the last: a step that is prime to n. */
static void turn_open(int unused)
{
	static long at;

	(void)unused;
	at = (at + 7919) % n_open;
	option(open_sockets[at]);
}

static void work_open(long count, long n)
{
	hold(n);
	measured(turn_open, 0, count);
}

static void work_churn(long count, long n)
{
	hold(n);
	measured(turn_socket, 0, count);
}

/* Where threads and processes meet, and how long each was at work. */
static struct meeting {
	pthread_barrier_t all_ready;
	struct span {
		int64_t from, to;
	} span[MOST_PROCESSES];
} * meeting;

static void meet(long n)
{
	pthread_barrierattr_t shared;

	meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (meeting == MAP_FAILED)
		fail("mmap");
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&meeting->all_ready, &shared, (unsigned int)n);
}

/* Each has its socket first, and begins when all are there. */
static void *set_options(void *number)
{
	struct span *span = &meeting->span[(intptr_t)number];
	const int fd = tcp_socket();

	option(fd);
	pthread_barrier_wait(&meeting->all_ready);
	span->from = clock_now(CLOCK_MONOTONIC);
	for (long i = 0; i < turns_a_thread; i++)
		option(fd);
	span->to = clock_now(CLOCK_MONOTONIC);
	return NULL;
}

/* By the wall: from the first that began to the last that ended. */
static void say_together(struct reading *from, struct reading *to, long n)
{
	from->wall = meeting->span[0].from;
	to->wall = meeting->span[0].to;
	for (long i = 1; i < n; i++) {
		const struct span *span = &meeting->span[i];

		if (span->from < from->wall)
			from->wall = span->from;
		if (span->to > to->wall)
			to->wall = span->to;
	}
	say(from, to);
}

static void work_threads(long count, long n)
{
	struct reading from, to;

	turns_a_thread = count / n;
	meet(n);
	from = read_clocks();
	in_threads(set_options, n);
	to = read_clocks();
	say_together(&from, &to, n);
}

static void work_processes(long count, long n)
{
	struct reading from, to;
	pid_t pid[MOST_PROCESSES];
	int status;

	turns_a_thread = count / n;
	meet(n);
	from = read_clocks();
	for (long i = 0; i < n; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			fail("fork");
		if (pid[i] == 0) {
			set_options((void *)(intptr_t)i);
			_exit(0);
		}
	}
	for (long i = 0; i < n; i++)
		if (waitpid(pid[i], &status, 0) != pid[i] || status != 0)
			fail("a process");
	to = read_clocks();
	say_together(&from, &to, n);
}

static void work_start(long count, long unused)
{
	(void)unused;
	measured(turn_start, 0, count);
}

static const struct work {
	const char *name;
	void (*run)(long count, long n);
	long most; /* of n */
} works[] = {
	{"life", work_life, 0},
	{"bind", work_bind, 0},
	{"socket", work_socket, 0},
	{"setsockopt", work_setsockopt, 0},
	{"close", work_close, 0},
	{"closes", work_closes, 0},
	{"echo", work_echo, 0},
	{"serve", work_serve, MOST_THREADS},
	{"open", work_open, 1000000},
	{"churn", work_churn, 1000000},
	{"threads", work_threads, MOST_THREADS},
	{"processes", work_processes, MOST_PROCESSES},
};

static int usage(void)
{
	fprintf(stderr, "usage: work NAME COUNT [N]; see the head of work.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const long first = argc > 2 ? atol(argv[2]) : 0, second = argc > 3 ? atol(argv[3]) : 0;
	const long third = argc > 4 ? atol(argv[4]) : 0;

	bare_begin();
	if (strcmp(name, "start") == 0) {
		start_environment = argc > 3 ? argv + 3 : argv + argc;
		work_start(first, 0);
		return 0;
	}
	if (strcmp(name, "visit") == 0 && third >= 1 && third <= MOST_THREADS) {
		work_visit((int)first, second, third);
		return 0;
	}
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		const struct work *work = &works[i];

		if (strcmp(name, work->name) != 0)
			continue;
		if (first < 0 || (work->most && (second < 1 || second > work->most)))
			break;
		work->run(first, second);
		return 0;
	}
	return usage();
}
