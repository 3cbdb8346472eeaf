/* SPDX-License-Identifier: MIT */
/*
 * recorder.c - processes that are killed while they write to the flight recorder.
 *
 *	recorder
 *
 * 8 writers, each a process of 4 threads, make calls on TCP sockets of their own, whose events a
 * shim records. A thread's calls setsockopt(SO_KEEPALIVE) count upwards, and the number of the
 * last one that has returned stands in memory that all processes share. Every second writer is
 * forked and goes on in the recorder that this process had open, the others are executed.
 *
 * On standard input comes a line for each round: each writer is killed once, in the midst of its
 * calls, and another put in its place. Then the writers stand still, for a round may make
 * ROUND_CALLS calls and no more; and this is said, a line each:
 *
 *	killed|alive PID TID COUNT TID COUNT …	(the threads that have begun)
 *	died PID STATUS				a writer that nobody had killed
 *	round CALLS				all of them so far; its end
 *
 *	recorder write FD INDEX		a writer that was executed
 */
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 8, THREADS = 4, ROUND_CALLS = 1200 };

struct slot {
	_Atomic(int) tid, completed;
};

struct shared {
	_Atomic(uint32_t) drawn; /* calls that have been begun */
	_Atomic(uint32_t) limit; /* that may be */
	struct slot slots[WRITERS][THREADS];
};

static struct shared *shared;

static int fail(const char *what)
{
	fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void map_shared(int fd)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
}

/* Leave to make another call; waits where there is none. */
static void draw(void)
{
	for (;;) {
		const uint32_t limit = atomic_load(&shared->limit);
		uint32_t drawn = atomic_load(&shared->drawn);

		if (drawn == limit)
			syscall(SYS_futex, &shared->limit, FUTEX_WAIT, limit, NULL, NULL, 0);
		else if (atomic_compare_exchange_weak(&shared->drawn, &drawn, drawn + 1))
			return;
	}
}

static void allow(uint32_t calls)
{
	atomic_fetch_add(&shared->limit, calls);
	syscall(SYS_futex, &shared->limit, FUTEX_WAKE, WRITERS * THREADS, NULL, NULL, 0);
}

static int open_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

/* Records of other lengths among those of the numbered calls. */
static void something_else(int fd, int number)
{
	static const char long_value[64] = "a value that is refused, but told";

	if (number % 2)
		setsockopt(fd, IPPROTO_IP, IP_OPTIONS, long_value, sizeof(long_value));
	else
		listen(fd, 1);
}

static void *write_events(void *arg)
{
	struct slot *slot = arg;
	int fd;

	atomic_store(&slot->tid, (int)syscall(SYS_gettid));
	draw();
	fd = open_socket();
	for (int number = 1;; number++) {
		draw();
		if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &number, sizeof(number)) < 0)
			fail("setsockopt");
		atomic_store(&slot->completed, number);
		if (number % 8 == 0) {
			something_else(fd, number / 8);
		} else if (number % 13 == 0) {
			close(fd);
			fd = open_socket();
		}
	}
	return NULL;
}

static __attribute__((noreturn)) void be_writer(int index)
{
	pthread_t thread;

	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, write_events, &shared->slots[index][i]) != 0)
			fail("pthread_create");
	write_events(&shared->slots[index][0]);
	abort();
}

static pid_t start(int index, bool executed, int fd)
{
	const pid_t parent = getpid();
	char number[16], which[16];
	pid_t child;

	memset(shared->slots[index], 0, sizeof(shared->slots[index]));
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(which, sizeof(which), "%d", index);
	child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (executed) {
		execl("/proc/self/exe", "recorder", "write", number, which, (char *)NULL);
		fail("exec");
	}
	be_writer(index);
}

static void tell(const char *what, int index, pid_t pid)
{
	printf("%s %d", what, pid);
	for (int i = 0; i < THREADS; i++) {
		struct slot *slot = &shared->slots[index][i];

		if (slot->tid)
			printf(" %d %d", slot->tid, slot->completed);
	}
	printf("\n");
}

/* SIGKILL, and nothing else, ended it. */
static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		printf("died %d %d\n", pid, status);
}

/* Until that many calls have been begun. */
static void await(uint32_t calls)
{
	const struct timespec pause = {.tv_nsec = 20000};

	while ((int32_t)(atomic_load(&shared->drawn) - calls) < 0)
		nanosleep(&pause, NULL);
}

/* Each once, in any order, after any number of calls. */
static void play(pid_t *writers, int fd)
{
	static unsigned int turn;
	const uint32_t began = atomic_load(&shared->drawn);
	int order[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		const int j = (int)(random() % (i + 1));

		order[i] = order[j];
		order[j] = i;
	}
	allow(ROUND_CALLS);
	for (int i = 0; i < WRITERS; i++) {
		const int index = order[i];
		const uint32_t part = ROUND_CALLS / (WRITERS + 1);

		await(began + part * (uint32_t)i + (uint32_t)random() % part);
		end(writers[index]);
		tell("killed", index, writers[index]);
		writers[index] = start(index, turn++ % 2, fd);
	}
	await(began + ROUND_CALLS);
}

static void lead(void)
{
	const int fd = memfd_create("recorder", 0);
	pid_t writers[WRITERS];
	char line[64];

	if (fd < 0 || ftruncate(fd, sizeof(*shared)) < 0)
		fail("memfd_create");
	map_shared(fd);
	srandom((unsigned int)getpid());
	close(open_socket()); /* what is forked from here meets a recorder in use */
	for (int i = 0; i < WRITERS; i++)
		writers[i] = start(i, i % 2, fd);
	while (fgets(line, sizeof(line), stdin)) {
		play(writers, fd);
		for (int i = 0; i < WRITERS; i++)
			tell("alive", i, writers[i]);
		printf("round %u\n", atomic_load(&shared->drawn));
		fflush(stdout);
	}
	for (int i = 0; i < WRITERS; i++)
		end(writers[i]);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "write") == 0) {
		map_shared(atoi(argv[2]));
		be_writer(atoi(argv[3]));
	}
	if (argc != 1)
		return 2;
	lead();
	return 0;
}
