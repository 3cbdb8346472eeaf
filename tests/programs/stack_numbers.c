/* SPDX-License-Identifier: MIT */
/*
 * stack_numbers ROUNDS - closes every descriptor and takes the numbers again, as daemons do,
 * and then looks whether anybody but itself uses them.
 *
 * Some numbers are closed by system calls of its own, which no library sees. Then sockets
 * and files lie under all the low numbers, where a library that still believes in a pipe of
 * its own would read, write and close. Threads make, use and close TCP sockets from many
 * places, also after a fork. At the end, each byte sent must have come, once and unchanged,
 * with no other; each file must hold what was written; and the open numbers are told.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUMBERS = 48, HIGHEST = 1100, THREADS = 4 };

static int rounds;
static int report_fd = -1;

/* stdio is gone with the descriptors: what is to be said is kept until the end. */
static char said[65536];
static size_t n_said;
static pthread_mutex_t saying = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&saying);
	va_start(args, format);
	n_said += (size_t)vsnprintf(said + n_said, sizeof(said) - n_said, format, args);
	va_end(args);
	pthread_mutex_unlock(&saying);
}

#define EXPECT(condition)                                                                          \
	((condition) ? (void)0                                                                     \
		     : say("line %d: not so: %s (errno %d)\n", __LINE__, #condition, errno))

/* A system call that no library can see. */
static long bare(long number, long a)
{
#ifdef __x86_64__
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(a) : "rcx", "r11", "memory");
	return ret;
#else
	return syscall(number, a);
#endif
}

static void close_everything(void)
{
	for (int fd = 0; fd < HIGHEST; fd += 2)
		close(fd);
	for (int fd = 0; fd < HIGHEST; fd++)
		bare(SYS_close, fd);
}

/* What lies under the low numbers: pairs of sockets and files, in turn. */
static int pair_of[NUMBERS]; /* the other end; -1: a file */
static size_t written[NUMBERS];

static void take_the_numbers(void)
{
	char name[] = "/tmp/stack-numbers-XXXXXX";

	for (int next = 0; next < NUMBERS;) {
		int two[2];

		if (next % 3 == 0) {
			strcpy(name, "/tmp/stack-numbers-XXXXXX");

			const int file = mkstemp(name);

			EXPECT(file == next);
			unlink(name);
			pair_of[next++] = -1;
			continue;
		}
		EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two) == 0);
		EXPECT(two[0] == next && two[1] == next + 1);
		pair_of[two[0]] = two[1];
		pair_of[two[1]] = two[0];
		next += 2;
	}
}

static char byte_of(int fd, size_t position)
{
	return (char)('A' + ((size_t)fd * 7 + position * 3) % 26);
}

/* Some bytes into each number; those of sockets are read at once at the other end. */
static void use_the_numbers(void)
{
	for (int fd = 0; fd < NUMBERS; fd++) {
		char out[5], in[64];

		for (size_t i = 0; i < sizeof(out); i++)
			out[i] = byte_of(fd, written[fd] + i);
		EXPECT(write(fd, out, sizeof(out)) == (ssize_t)sizeof(out));
		written[fd] += sizeof(out);
		if (pair_of[fd] < 0)
			continue;
		EXPECT(read(pair_of[fd], in, sizeof(in)) == (ssize_t)sizeof(out));
		EXPECT(memcmp(in, out, sizeof(out)) == 0);
	}
}

static void check_the_numbers(void)
{
	for (int fd = 0; fd < NUMBERS; fd++) {
		char c;

		if (pair_of[fd] >= 0) {
			EXPECT(read(fd, &c, 1) == -1 && errno == EAGAIN);
			continue;
		}
		EXPECT(lseek(fd, 0, SEEK_CUR) == (off_t)written[fd]);
		EXPECT(lseek(fd, 0, SEEK_END) == (off_t)written[fd]);
		for (size_t i = 0; i < written[fd]; i++)
			EXPECT(pread(fd, &c, 1, (off_t)i) == 1 && c == byte_of(fd, i));
	}
}

/* One connection, every byte of it looked at, and as many calls that make events. */
static void converse(int seed)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char out[64], in[128];

	EXPECT(bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	EXPECT(listen(listener, 4) == 0);
	EXPECT(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);

	const int client = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT(connect(client, (struct sockaddr *)&addr, sizeof(addr)) == 0);

	const int server = accept(listener, NULL, NULL);
	const int copy = dup(server);

	EXPECT(setsockopt(server, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = byte_of(seed, i);
	EXPECT(send(client, out, sizeof(out), 0) == (ssize_t)sizeof(out));
	EXPECT(shutdown(client, SHUT_WR) == 0);

	size_t got = 0;
	ssize_t n;

	while ((n = recv(copy, in + got, sizeof(in) - got, 0)) > 0)
		got += (size_t)n;
	EXPECT(n == 0 && got == sizeof(out) && memcmp(in, out, sizeof(out)) == 0);
	EXPECT(close(copy) == 0);
	EXPECT(close(server) == 0);
	EXPECT(close(client) == 0);
	EXPECT(close(listener) == 0);
}

/* The same from many depths: each is a stack of its own. */
static __attribute__((noinline)) int from_depth(int depth, int seed)
{
	if (depth > 0)
		return from_depth(depth - 1, seed) + 1;
	converse(seed);
	return 0;
}

static void *work(void *arg)
{
	const int seed = (int)(long)arg;

	for (int i = 0; i < rounds; i++)
		EXPECT(from_depth(i % 40, seed + i) == i % 40);
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (int i = 0; i < rounds; i++)
		use_the_numbers();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* As the program knows them: by fcntl. */
static void tell_open(const char *when)
{
	say("%s, open:", when);
	for (int fd = 0; fd < 5000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			say(" %d", fd);
	say("\n");
}

static void forked_child(void)
{
	int status = -1;
	const pid_t child = fork();

	if (child == 0) {
		const size_t before = n_said;

		work((void *)100);
		tell_open("in a child");
		_exit(n_said == before ? 0 : strstr(said + before, "not so") != NULL);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(status == 0);
}

int main(int argc, char **argv)
{
	char path[4096];

	if (argc != 3 || (rounds = atoi(argv[1])) <= 0 || strlen(argv[2]) >= sizeof(path))
		return 2;
	strcpy(path, argv[2]);

	/* Once before, so that whoever makes something at the first call has made it. */
	report_fd = socket(AF_INET, SOCK_STREAM, 0);
	say("the first socket is %d\n", report_fd);
	converse(1);
	tell_open("at first");

	close_everything();
	take_the_numbers();
	tell_open("all taken");
	use_the_numbers();
	check_the_numbers();
	run_threads();
	check_the_numbers();
	forked_child();
	check_the_numbers();
	tell_open("at the end");

	/* Once more: now everything is closed behind the backs of all. */
	close_everything();
	take_the_numbers();
	memset(written, 0, sizeof(written));
	run_threads();
	check_the_numbers();
	tell_open("again");

	const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	return write(out, said, n_said) == (ssize_t)n_said ? 0 : 1;
}
