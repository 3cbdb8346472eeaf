/* SPDX-License-Identifier: MIT */
/*
 * test_apart.c - sys/apart: a helper with descriptors of its own. Each test in a child of
 * its own, as the module remembers what the kernel refused.
 */
#include "sys/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "sys/sys.h"
#include "unit.h"

static char nothing;

static void add_one(void *arg)
{
	(*(int *)arg)++;
}

static void must_not_run(void *arg)
{
	(void)arg;
	MUST(false);
}

/* Something to be seen by another thread or process, until it says go. */
struct signs {
	_Atomic(bool) begun, go;
};

static struct signs *shared_signs(void)
{
	struct signs *signs = mmap(NULL, sizeof(*signs), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(signs != MAP_FAILED);
	return signs;
}

static void linger(void *arg)
{
	struct signs *signs = *(struct signs **)arg;

	atomic_store(&signs->begun, true);
	while (!atomic_load(&signs->go))
		sys_call6(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void *linger_apart(void *arg)
{
	struct signs *signs = arg;

	MUST(apart_run(linger, &signs, sizeof(signs)));
	return NULL;
}

static void wait_until_begun(struct signs *signs)
{
	while (!atomic_load(&signs->begun))
		sched_yield();
}

static unsigned int lowest_free(void)
{
	const int fd = open("/dev/null", O_RDONLY);

	MUST(fd >= 0);
	close(fd);
	return (unsigned int)fd;
}

struct opened {
	int numbers[3];
	pid_t pid, tid;
	uint64_t blocked;
};

static void open_three(void *arg)
{
	struct opened *opened = arg;

	for (int fd = 0; fd < 100; fd++)
		MUST(sys_fcntl(fd, F_GETFD, 0) == -EBADF);
	for (int i = 0; i < 3; i++)
		opened->numbers[i] = sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
	opened->pid = sys_getpid();
	opened->tid = sys_gettid();
	sys_sigprocmask(SIG_BLOCK, NULL, &opened->blocked);
}

static void own_table_body(void *arg)
{
	const unsigned int before = lowest_free();
	struct opened opened;

	sigset_t none, now;

	(void)arg;
	sigemptyset(&none);
	MUST(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	errno = 1234;
	MUST(apart_run(open_three, &opened, sizeof(opened)));
	MUST(errno == 1234);
	for (int i = 0; i < 3; i++)
		MUST(opened.numbers[i] == i);
	MUST(opened.pid == getpid());
	MUST(opened.tid != sys_gettid());
	MUST(opened.blocked == ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1)));
	MUST(lowest_free() == before);
	MUST(fcntl(0, F_GETFD) >= 0);
	MUST(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
	for (int i = 1; i < 32; i++)
		MUST(!sigismember(&now, i));
}

/* It finds nothing open, leaves nothing open, and all else is as it was. */
static void own_table(void **state)
{
	(void)state;
	in_child(own_table_body, NULL);
}

static int maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	int lines = 0, c;

	MUST(file);
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

/* A helper that was not seen off was met in one of 5,000 turns. */
static void again_body(void *arg)
{
	enum { TURNS = 5000 };
	int before, count = 0;

	(void)arg;
	maps();
	before = maps();
	for (int i = 0; i < TURNS; i++) {
		MUST(apart_run(add_one, &count, sizeof(count)));
		/* Only a process without another thread may do this. */
		MUST(unshare(CLONE_THREAD) == 0);
	}
	MUST(count == TURNS);
	MUST(maps() == before);
}

/* When it returns the process is without a thread of ours again, and without its memory. */
static void again_and_again(void **state)
{
	(void)state;
	in_child(again_body, NULL);
}

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void raise_it(void *arg)
{
	(void)arg;
	sys_call6(SYS_kill, sys_getpid(), SIGUSR1, 0, 0, 0, 0);
	MUST(!handled);
}

static void signals_body(void *arg)
{
	(void)arg;
	signal(SIGUSR1, on_signal);
	MUST(apart_run(raise_it, &nothing, sizeof(nothing)));
	MUST(handled == 1);
}

/* No handler runs meanwhile; what has come is delivered afterwards. */
static void signals_wait(void **state)
{
	(void)state;
	in_child(signals_body, NULL);
}

static void no_child_body(void *arg)
{
	struct signs *signs = shared_signs();
	pthread_t thread;

	(void)arg;
	MUST(pthread_create(&thread, NULL, linger_apart, signs) == 0);
	wait_until_begun(signs);
	MUST(waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD);
	atomic_store(&signs->go, true);
	pthread_join(thread, NULL);
}

/* No child that the program could wait for. */
static void no_child(void **state)
{
	(void)state;
	in_child(no_child_body, NULL);
}

static void closed_body(void *arg)
{
	struct signs *signs = shared_signs();
	pthread_t thread;
	int ends[2];
	char byte;

	(void)arg;
	MUST(pipe(ends) == 0);
	MUST(pthread_create(&thread, NULL, linger_apart, signs) == 0);
	wait_until_begun(signs);
	close(ends[1]);
	MUST(read(ends[0], &byte, 1) == 0); /* or it would wait for ever */
	atomic_store(&signs->go, true);
	pthread_join(thread, NULL);
}

/* What another thread closes meanwhile is closed. */
static void keeps_nothing_open(void **state)
{
	(void)state;
	in_child(closed_body, NULL);
}

/* A process that is stopped meanwhile is seen to be stopped. */
static void can_be_stopped(void **state)
{
	struct signs *signs = shared_signs();
	enum { MOST_MS = CHILD_SECONDS * 1000 };
	const pid_t child = fork_for_a_while();
	pid_t seen = 0;
	int status = 0;

	(void)state;
	if (child == 0) {
		linger_apart(signs);
		_exit(0);
	}
	wait_until_begun(signs);
	kill(child, SIGSTOP);
	for (int i = 0; i < MOST_MS && !seen; i++) {
		seen = waitpid(child, &status, WUNTRACED | WNOHANG);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	if (!seen)
		kill(child, SIGKILL);
	assert_int_equal(seen, child);
	assert_true(WIFSTOPPED(status));
	kill(child, SIGCONT);
	atomic_store(&signs->go, true);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void forks_body(void *arg)
{
	struct signs *signs = shared_signs();
	pthread_t thread;

	(void)arg;
	MUST(pthread_create(&thread, NULL, linger_apart, signs) == 0);
	wait_until_begun(signs);
	for (int i = 0; i < 20; i++) {
		int status = -1, count = 0;
		const pid_t child = fork_for_a_while();

		if (child == 0) {
			MUST(apart_run(add_one, &count, sizeof(count)));
			_exit(count != 1);
		}
		MUST(waitpid(child, &status, 0) == child);
		MUST(status == 0);
	}
	atomic_store(&signs->go, true);
	pthread_join(thread, NULL);
}

/* A process forked meanwhile has none of it, and can do the same. */
static void forks(void **state)
{
	(void)state;
	in_child(forks_body, NULL);
}

/* Refuse one system call from here on. */
static void refuse(unsigned int call, unsigned int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {COUNT_OF(filter), filter};

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

struct refusal {
	unsigned int call, error;
};

static void refused_body(void *arg)
{
	const struct refusal *refusal = arg;
	sigset_t none, now;
	int before;

	sigemptyset(&none);
	MUST(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	refuse(refusal->call, refusal->error);
	maps();
	before = maps();
	errno = 1234;
	for (int i = 0; i < 10; i++)
		MUST(!apart_run(must_not_run, &nothing, sizeof(nothing)));
	MUST(errno == 1234);
	MUST(maps() == before);
	MUST(unshare(CLONE_THREAD) == 0);
	MUST(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
	MUST(!sigismember(&now, SIGINT));
}

/* Where no helper can be had, or none with a table of its own, nothing is called. */
static void refused(void **state)
{
	static const struct refusal refusals[] = {
		{SYS_clone, EPERM},
		{SYS_clone, EAGAIN},
		{SYS_close_range, ENOSYS}, /* Linux before 5.9 */
		{SYS_close_range, EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++)
		in_child(refused_body, (void *)(uintptr_t)&refusals[i]);
}

static void no_more_processes_body(void *arg)
{
	const struct rlimit none = {0, 0};
	struct rlimit before;
	int count = 0;

	(void)arg;
	if (geteuid() == 0)
		MUST(setresuid(65534, 65534, 65534) == 0);
	MUST(getrlimit(RLIMIT_NPROC, &before) == 0);
	before.rlim_cur = before.rlim_max;
	MUST(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, before.rlim_max}) == 0);
	MUST(!apart_run(must_not_run, &nothing, sizeof(nothing)));

	/* It is not for ever. */
	MUST(setrlimit(RLIMIT_NPROC, &before) == 0);
	MUST(apart_run(add_one, &count, sizeof(count)));
	MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
	MUST(!apart_run(must_not_run, &nothing, sizeof(nothing)));
	MUST(count == 1);
}

/* Where the user may have no more threads, it is as if it was refused, as long as that lasts. */
static void no_more_processes(void **state)
{
	(void)state;
	in_child(no_more_processes_body, NULL);
}

static bool runs(void)
{
	int count = 0;

	MUST(apart_run(add_one, &count, sizeof(count)) == (count == 1));
	return count;
}

static void asked_for_a_signal_body(void *arg)
{
	const struct sigevent by_signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	const struct timespec now = {0};
	char name[64];
	sigset_t signals;
	mqd_t queue;

	(void)arg;
	snprintf(name, sizeof(name), "/apart-%d", getpid());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
	if (queue == (mqd_t)-1 && errno == ENOSYS)
		return;
	MUST(queue != (mqd_t)-1 && mq_unlink(name) == 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
	MUST(mq_notify(queue, &by_signal) == 0);
	MUST(!runs());
	MUST(mq_send(queue, "", 1, 0) == 0);
	MUST(sigtimedwait(&signals, NULL, &now) == SIGUSR1);

	/* A copy of a higher number is never made. */
	MUST(dup2(queue, 64) == 64 && close(queue) == 0);
	MUST(mq_notify(64, &by_signal) == 0 || errno == EBUSY);
	MUST(runs());
}

/* A close of its message queue takes a process's registration away. */
static void asked_for_a_signal(void **state)
{
	(void)state;
	in_child(asked_for_a_signal_body, NULL);
}

static void kinds_of_files_body(void *arg)
{
	const int fd = open("/proc/self/stat", O_RDONLY);
	FILE *file;

	(void)arg;
	MUST(fd >= 0 && !runs());
	MUST(close(fd) == 0 && runs());
	MUST(open("/dev/null", O_RDWR) >= 0 && open("/", O_RDONLY) >= 0);
	MUST(memfd_create("one", 0) >= 0 && eventfd(0, 0) >= 0 && epoll_create1(0) >= 0);
	MUST(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 && open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0);
	MUST(pipe((int[2]){0}) == 0);
	file = tmpfile();
	MUST(file && runs());
}

/* What is there to be asked at a close is not known of each file. */
static void kinds_of_files(void **state)
{
	(void)state;
	in_child(kinds_of_files_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_table),
		cmocka_unit_test(again_and_again),
		cmocka_unit_test(signals_wait),
		cmocka_unit_test(no_child),
		cmocka_unit_test(keeps_nothing_open),
		cmocka_unit_test(can_be_stopped),
		cmocka_unit_test(forks),
		cmocka_unit_test(refused),
		cmocka_unit_test(no_more_processes),
		cmocka_unit_test(asked_for_a_signal),
		cmocka_unit_test(kinds_of_files),
	};

	return cmocka_run_group_tests_name("apart", tests, NULL, NULL);
}
