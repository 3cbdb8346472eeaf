/* SPDX-License-Identifier: MIT */
/* Calls that are interrupted, begun again, jumped out of, and made by the handlers themselves. */
#include <setjmp.h>
#include <sys/time.h>

#include "walk.h"

static int spare, client, target;
static struct sockaddr_in where;
static volatile sig_atomic_t connecting, jumping, calls;
static sigjmp_buf back;

/* All calls that the shim knows are legal here. */
static void on_alarm(int number)
{
	int saved = errno, copy, one = 1;
	socklen_t len = sizeof(one);

	(void)number;
	calls = 1;
	copy = dup(spare);
	setsockopt(copy, SOL_SOCKET, SO_KEEPALIVE, &one, len);
	getsockopt(copy, SOL_SOCKET, SO_ERROR, &one, &len);
	dup2(copy, 99);
	listen(copy, 1);
	shutdown(copy, SHUT_RD);
	close(copy);
	close(99);
	close(socket(AF_INET, SOCK_STREAM, 0));
	if (connecting) {
		connecting = 0;
		connect(client, (struct sockaddr *)&where, sizeof(where));
	}
	if (jumping)
		siglongjmp(back, 1);
	errno = saved;
}

static void alarms(long microseconds)
{
	struct itimerval timer = {{0, microseconds}, {0, microseconds}};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void handle(int flags)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};

	sigaction(SIGALRM, &action, NULL);
}

/* What a call answered while signals came; the set of signals is told after they stopped. */
#define UNDER_SIGNALS(what, call)                                                                  \
	do {                                                                                       \
		long ret;                                                                          \
		int err;                                                                           \
                                                                                                   \
		calls = 0;                                                                         \
		alarms(10000);                                                                     \
		errno = ERRNO_BEFORE;                                                              \
		ret = (call);                                                                      \
		err = errno;                                                                       \
		alarms(0);                                                                         \
		told(what, ret, err);                                                              \
		printf("  handler ran %d\n", (int)calls);                                          \
	} while (0)

static void jumped_out(void)
{
	int low;

	for (volatile int turn = 0; turn < 3; turn++) {
		jumping = 1;
		if (!sigsetjmp(back, 1)) {
			alarms(10000);
			accept(target, NULL, NULL);
		}
		jumping = 0;
		alarms(0);
		low = lowest_fd();
		printf("jumped out of accept, low %d mask %lx\n", low, signal_mask());
	}
	TELL(close(dup(target)));
}

int main(void)
{
	sigset_t alarm;
	int stuck;

	spare = listener();
	target = listener();
	where = name_of(target);
	client = tcp();

	handle(0);
	UNDER_SIGNALS("accept, interrupted", accept(target, NULL, NULL));
	UNDER_SIGNALS("accept4, interrupted", accept4(target, NULL, NULL, SOCK_CLOEXEC));
	handle(SA_RESTART);
	connecting = 1;
	UNDER_SIGNALS("accept, begun again", accept(target, NULL, NULL));

	/* A connect that has to wait: the queue of this listener is full. */
	close(spare);
	spare = tcp();
	where = loopback(0);
	must(bind(spare, (struct sockaddr *)&where, sizeof(where)));
	must(listen(spare, 0));
	where = name_of(spare);
	stuck = connected_to(spare);
	client = tcp();
	spare = listener();
	handle(0);
	UNDER_SIGNALS("connect, interrupted",
		      connect(client, (struct sockaddr *)&where, sizeof(where)));
	close(client);
	close(stuck);

	jumped_out();

	/* A blocked signal stays blocked, and pending. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	raise(SIGALRM);
	calls = 0;
	TELL(close(tcp()));
	printf("handler ran %d\n", (int)calls);
	return 0;
}
