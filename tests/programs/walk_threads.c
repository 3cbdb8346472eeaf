/* SPDX-License-Identifier: MIT */
/* Cancellation, small stacks and signal stacks. */
#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "walk.h"

static int l;
static int cleaned;
static volatile pid_t tid;
static long waited_for; /* a call's number */
#ifdef SYS_socketcall
enum { EITHER = SYS_socketcall }; /* by which libc makes it, perhaps */
#else
enum { EITHER = -1 };
#endif

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

/* Wait until the other thread sleeps, which it does in its call alone. */
static void await_sleep(void)
{
	struct timespec pause = {0, 1000000};
	char path[64], line[512];
	ssize_t len;
	int fd;

	for (int turn = 0; turn < 5000; turn++) {
		nanosleep(&pause, NULL);
		if (!tid)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
		fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return; /* not told here: a millisecond will do */
		len = read(fd, line, sizeof(line) - 1);
		close(fd);
		line[len > 0 ? len : 0] = 0;
		if (len > 0 && (atol(line) == waited_for || atol(line) == EITHER))
			return;
	}
}

static void *waits_in_accept(void *arg)
{
	(void)arg;
	tid = gettid();
	pthread_cleanup_push(clean, NULL);
	accept(l, NULL, NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *waits_in_accept4(void *arg)
{
	(void)arg;
	tid = gettid();
	pthread_cleanup_push(clean, NULL);
	accept4(l, NULL, NULL, SOCK_CLOEXEC);
	pthread_cleanup_pop(0);
	return NULL;
}

/* Cancelled before the call: a call that is a cancellation point acts on it, others return. */
enum {
	TRY_SOCKET,
	TRY_BIND,
	TRY_LISTEN,
	TRY_CONNECT,
	TRY_SETSOCKOPT,
	TRY_GETSOCKOPT,
	TRY_SHUTDOWN,
	TRY_DUP,
	TRY_DUP2,
	TRY_DUP3,
	TRY_DUPFD,
	TRY_CLOSE,
	TRY_FCLOSE,
	TRY_COUNT
};

static const char *const try_names[] = {"socket",     "bind",	  "listen", "connect", "setsockopt",
					"getsockopt", "shutdown", "dup",    "dup2",    "dup3",
					"F_DUPFD",    "close",	  "fclose"};

static void try_one(int which, int fd, FILE *file)
{
	struct sockaddr_in addr = loopback(0);
	int one = 1;
	socklen_t len = sizeof(one);

	switch (which) {
	case TRY_SOCKET:
		socket(AF_INET, SOCK_STREAM, 0);
		break;
	case TRY_BIND:
		bind(fd, (struct sockaddr *)&addr, sizeof(addr));
		break;
	case TRY_LISTEN:
		listen(fd, 1);
		break;
	case TRY_CONNECT:
		addr = name_of(l);
		connect(fd, (struct sockaddr *)&addr, sizeof(addr));
		break;
	case TRY_SETSOCKOPT:
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, len);
		break;
	case TRY_GETSOCKOPT:
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &one, &len);
		break;
	case TRY_SHUTDOWN:
		shutdown(fd, SHUT_RDWR);
		break;
	case TRY_DUP:
		one = dup(fd);
		break;
	case TRY_DUP2:
		dup2(fd, 90);
		break;
	case TRY_DUP3:
		dup3(fd, 90, O_CLOEXEC);
		break;
	case TRY_DUPFD:
		fcntl(fd, F_DUPFD, 90);
		break;
	case TRY_CLOSE:
		close(fd);
		break;
	default:
		fclose(file);
	}
}

struct trial {
	int which, fd;
	FILE *file;
	bool came_back;
};

static void *tries(void *arg)
{
	struct trial *trial = arg;

	pthread_cleanup_push(clean, NULL);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	try_one(trial->which, trial->fd, trial->file);
	trial->came_back = true;
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancelled_before(void)
{
	for (int which = 0; which < TRY_COUNT; which++) {
		struct trial trial = {.which = which, .fd = tcp()};
		pthread_t thread;
		void *result;

		if (which == TRY_FCLOSE)
			trial.file = fdopen(trial.fd, "r");
		cleaned = 0;
		pthread_create(&thread, NULL, tries, &trial);
		pthread_join(thread, &result);
		printf("%s: came back %d, cancelled %d, cleaned up %d\n", try_names[which],
		       trial.came_back, result == PTHREAD_CANCELED, cleaned);
		close(trial.fd);
		close(90);
	}
}

static void cancelled_within(const char *what, void *(*waits)(void *))
{
	pthread_t thread;
	void *result;

	cleaned = 0;
	tid = 0;
	pthread_create(&thread, NULL, waits, NULL);
	await_sleep();
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("%s: cancelled %d, cleaned up %d\n", what, result == PTHREAD_CANCELED, cleaned);
	TELL(close(dup(l)));
}

static void *all_calls(void *arg)
{
	struct sockaddr_in addr = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), made, one = 1;
	socklen_t len = sizeof(one);

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, len);
	bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	len = sizeof(addr);
	listen(fd, 1);
	getsockname(fd, (struct sockaddr *)&addr, &len);
	made = socket(AF_INET, SOCK_STREAM, 0);
	connect(made, (struct sockaddr *)&addr, sizeof(addr));
	close(accept(fd, NULL, NULL));
	shutdown(made, SHUT_WR);
	dup2(made, 95);
	dup3(fd, 95, O_CLOEXEC);
	close(fcntl(made, F_DUPFD, 96));
	len = sizeof(one);
	getsockopt(made, SOL_SOCKET, SO_ERROR, &one, &len);
#if __GLIBC_PREREQ(2, 34)
	close_range(95, 96, 0);
#endif
	close(made);
	close(fd);
	return arg;
}

static void small_stack(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *result = NULL;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN));
	must(-pthread_create(&thread, &attr, all_calls, &l));
	pthread_join(thread, &result);
	printf("on the least stack %d\n", result == &l);
}

static void on_signal(int number)
{
	(void)number;
	all_calls(NULL);
}

/* A stack with room for little more than the handler itself, and nothing mapped below it. */
static void signal_stack(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 5120;
	char *top = tail_alloc(page + size), *below = (char *)((uintptr_t)top / page * page);
	stack_t stack = {.ss_sp = below + page, .ss_size = size};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	munmap(below, page);
	must(sigaltstack(&stack, NULL));
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	printf("on a signal stack\n");
}

int main(void)
{
	l = listener();
	cancelled_before();
#ifdef SYS_accept
	waited_for = SYS_accept;
#else
	waited_for = SYS_accept4;
#endif
	cancelled_within("accept", waits_in_accept);
	waited_for = SYS_accept4;
	cancelled_within("accept4", waits_in_accept4);
	small_stack();
	signal_stack();
	TELL(close(l));
	return 0;
}
