/* SPDX-License-Identifier: MIT */
/*
 * test_sink.c - log/sink: bytes to a descriptor, without waiting, without a signal,
 * and never into what is not ours any more. Each test in a child of its own, as the
 * module has one sink for good.
 */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "sys/own.h"
#include "unit.h"

static const char one[] = "the first line\n", two[] = "the second\n", three[] = "a third one\n";

static bool say(const char *line)
{
	return sink_write(line, strlen(line));
}

/* A file that has no name any more: the descriptor to give away, and one to read it by. */
static int new_file(int *ret_reader, int flags)
{
	char path[] = "/tmp/reuse-sink-XXXXXX";
	const int reader = mkstemp(path), writer = open(path, O_WRONLY | flags);

	MUST(reader >= 0 && writer >= 0);
	unlink(path);
	*ret_reader = reader;
	return writer;
}

static void must_hold(int reader, const char *expected)
{
	char got[1024];
	const ssize_t len = pread(reader, got, sizeof(got) - 1, 0);

	MUST(len >= 0);
	got[len] = 0;
	if (strcmp(got, expected) != 0)
		fprintf(stderr, "holds: %s\n", got);
	MUST(strcmp(got, expected) == 0);
}

/*
 * What the kernel can do for a pipe differs: all of it, no RWF_NOSIGNAL (before
 * 6.18), no RWF_NOWAIT (before 6.5). A filter plays the older ones.
 */
enum kernel { THIS_KERNEL, NO_NOSIGNAL, NO_NOWAIT, KERNELS };

static void play(enum kernel kernel)
{
	const uint32_t refused = kernel == NO_NOSIGNAL ? 0x100 : 0xffffffff;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refused, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};

	if (kernel == THIS_KERNEL)
		return;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void on_each_kernel(void (*body)(void *arg))
{
	for (int kernel = THIS_KERNEL; kernel < KERNELS; kernel++)
		in_child(body, &kernel);
}

/* Signals that must never be seen. */
static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void watch(int number)
{
	const struct sigaction action = {.sa_handler = count_signal};

	MUST(sigaction(number, &action, NULL) == 0);
}

static bool is_blocked(int number)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, number);
}

static bool is_pending(int number)
{
	sigset_t now;

	sigpending(&now);
	return sigismember(&now, number);
}

static void unopened_body(void *arg)
{
	(void)arg;
	MUST(!say(one));
	MUST(!sink_is_terminal());
	MUST(sink_open_fd(-1) == -EBADF);
	MUST(!say(one));
}

/* Before there is a sink every line is lost, and nothing else happens. */
static void unopened(void **state)
{
	(void)state;
	in_child(unopened_body, NULL);
}

static void file_body(void *arg)
{
	int reader;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	errno = 1234;
	MUST(sink_open_fd(writer) == 0);
	MUST(fcntl(writer, F_GETFD) < 0 && errno == EBADF);
	errno = 1234;
	MUST(say(one) && say(two) && say(three));
	MUST(errno == 1234);
	must_hold(reader, "the first line\nthe second\na third one\n");
	MUST(!sink_is_terminal());
	MUST(own_is(own_number(OWN_LOG)));
}

/* A file gets the lines in order, by a descriptor that is ours and high. */
static void file(void **state)
{
	(void)state;
	in_child(file_body, NULL);
}

static void *say_often(void *arg)
{
	for (int i = 0; i < 500; i++)
		MUST(say(arg));
	return NULL;
}

static void threads_body(void *arg)
{
	char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", b[] = "bbbbbbbbbbbbbbbbbbbb\n", line[64];
	int reader, lines = 0;
	const int writer = new_file(&reader, O_APPEND);
	pthread_t threads[2];
	FILE *stream;

	(void)arg;
	MUST(sink_open_fd(writer) == 0);
	MUST(pthread_create(&threads[0], NULL, say_often, a) == 0);
	MUST(pthread_create(&threads[1], NULL, say_often, b) == 0);
	MUST(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
	stream = fdopen(reader, "r");
	while (fgets(line, sizeof(line), stream)) {
		MUST(strcmp(line, a) == 0 || strcmp(line, b) == 0);
		lines++;
	}
	MUST(lines == 1000);
}

/* Lines of two threads do not mix. */
static void threads(void **state)
{
	(void)state;
	in_child(threads_body, NULL);
}

static char filler[65536];

/* A pipe of one page, all of which is taken; its ends. */
static void new_full_pipe(int *ends)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	MUST(pipe(ends) == 0);
	MUST(fcntl(ends[1], F_SETPIPE_SZ, page) == (int)page);
	MUST(page <= sizeof(filler));
	MUST(write(ends[1], filler, page) == (ssize_t)page);
}

static void full_pipe_body(void *arg)
{
	int ends[2];
	char got[64];

	new_full_pipe(ends);
	MUST(sink_open_fd(ends[1]) == 0);
	play(*(enum kernel *)arg);
	errno = 1234;
	for (int i = 0; i < 3; i++)
		MUST(!say(one)); /* who waited would meet the child's alarm */
	MUST(errno == 1234);

	/* With room again the next line is written, whole and alone. */
	MUST(read(ends[0], filler, sizeof(filler)) > 0);
	MUST(say(two));
	MUST(read(ends[0], got, sizeof(got)) == (ssize_t)strlen(two));
	MUST(memcmp(got, two, strlen(two)) == 0);

	/* Neither is the pipe any different for others who write to it: it still waits. */
	MUST(!(fcntl(own_number(OWN_LOG), F_GETFL) & O_NONBLOCK));
	MUST(!is_blocked(SIGPIPE));
}

/* A full pipe loses the line rather than wait for its reader. */
static void full_pipe(void **state)
{
	(void)state;
	on_each_kernel(full_pipe_body);
}

static void narrow_pipe_body(void *arg)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int ends[2];

	MUST(pipe(ends) == 0);
	MUST(fcntl(ends[1], F_SETPIPE_SZ, page) == (int)page);
	MUST(write(ends[1], filler, page - 5) == (ssize_t)page - 5);
	MUST(sink_open_fd(ends[1]) == 0);
	play(*(enum kernel *)arg);
	MUST(!say(one));
	MUST(read(ends[0], filler, sizeof(filler)) == (ssize_t)page - 5);
}

/* Where there is room for a part of a line only, nothing of it is written. */
static void narrow_pipe(void **state)
{
	(void)state;
	on_each_kernel(narrow_pipe_body);
}

static int new_readerless_pipe(void)
{
	int ends[2];

	MUST(pipe(ends) == 0);
	close(ends[0]);
	return ends[1];
}

static void no_reader_body(void *arg)
{
	MUST(sink_open_fd(new_readerless_pipe()) == 0);
	play(*(enum kernel *)arg);
	for (int i = 0; i < 3; i++)
		MUST(!say(one)); /* SIGPIPE would end the child */

	watch(SIGPIPE);
	for (int i = 0; i < 3; i++)
		MUST(!say(one));
	MUST(signals == 0);
	MUST(!is_blocked(SIGPIPE) && !is_pending(SIGPIPE));

	signal(SIGPIPE, SIG_IGN);
	MUST(!say(one));
	MUST(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
}

/* A pipe that nobody reads any more: no line, and no SIGPIPE, whatever the program does with it. */
static void no_reader(void **state)
{
	(void)state;
	on_each_kernel(no_reader_body);
}

static void block(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void unblock(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	MUST(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void blocked_body(void *arg)
{
	watch(SIGPIPE);
	block(SIGPIPE);
	MUST(sink_open_fd(new_readerless_pipe()) == 0);
	play(*(enum kernel *)arg);
	MUST(!say(one));
	MUST(is_blocked(SIGPIPE) && !is_pending(SIGPIPE));
	unblock(SIGPIPE);
	MUST(signals == 0);
}

/* Where the program had blocked SIGPIPE it stays so, and none is pending afterwards. */
static void blocked_before(void **state)
{
	(void)state;
	on_each_kernel(blocked_body);
}

static void pending_body(void *arg)
{
	watch(SIGPIPE);
	MUST(sink_open_fd(new_readerless_pipe()) == 0);
	play(*(enum kernel *)arg);
	for (int to_process = 0; to_process < 2; to_process++) {
		signals = 0;
		block(SIGPIPE);
		if (to_process)
			kill(getpid(), SIGPIPE);
		else
			raise(SIGPIPE);
		MUST(!say(one) && !say(two));
		MUST(is_blocked(SIGPIPE) && is_pending(SIGPIPE));
		MUST(signals == 0);
		unblock(SIGPIPE);
		/*
		 * Before 6.18 the write's own comes beside one that came to the process,
		 * and the two can't be told apart: none is taken away then.
		 */
		MUST(signals == 1 || (to_process && signals == 2));
	}
}

/* A SIGPIPE that was pending before is the program's: it stays pending. */
static void pending_before(void **state)
{
	(void)state;
	on_each_kernel(pending_body);
}

static void limit_file_size(rlim_t soft)
{
	const struct rlimit limit = {.rlim_cur = soft, .rlim_max = RLIM_INFINITY};

	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void file_limit_body(void *arg)
{
	int reader;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	MUST(sink_open_fd(writer) == 0);
	MUST(say(one));
	limit_file_size(sizeof(one) - 1);
	for (int i = 0; i < 3; i++)
		MUST(!say(two)); /* SIGXFSZ would end the child */
	watch(SIGXFSZ);
	MUST(!say(two));
	MUST(signals == 0 && !is_blocked(SIGXFSZ) && !is_pending(SIGXFSZ));

	block(SIGXFSZ);
	MUST(!say(two));
	MUST(is_blocked(SIGXFSZ) && !is_pending(SIGXFSZ));
	raise(SIGXFSZ);
	MUST(!say(two));
	MUST(is_pending(SIGXFSZ));
	unblock(SIGXFSZ);
	MUST(signals == 1);
	must_hold(reader, one);

	/* Nothing was torn: the next line that can be written follows the first. */
	limit_file_size(RLIM_INFINITY);
	MUST(say(three));
	must_hold(reader, "the first line\na third one\n");
}

/* A file at its greatest size: no line, and no SIGXFSZ. */
static void file_limit(void **state)
{
	(void)state;
	in_child(file_limit_body, NULL);
}

/* As another process does that is killed, or whose disk is full, in the middle of a line. */
static void tear(int reader, const char *text)
{
	MUST(pwrite(reader, text, strlen(text), lseek(reader, 0, SEEK_END)) ==
	     (ssize_t)strlen(text));
}

static int readable(int reader)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
	return open(path, O_RDWR | O_APPEND);
}

static void torn_body(void *arg)
{
	int reader;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	tear(reader, "half");
	MUST(sink_open_fd(readable(reader)) == 0);
	MUST(say(two) && say(three));
	must_hold(reader, "half\nthe second\na third one\n");

	/* What the limit would cut is not begun. */
	limit_file_size(32);
	MUST(!say(one));
	must_hold(reader, "half\nthe second\na third one\n");

	/* Below a limit, and after a line of ours that was lost, others' ends are looked at. */
	tear(reader, "x");
	limit_file_size(40);
	MUST(!say(two)); /* the new line does not fit as well */
	limit_file_size(41);
	MUST(say(two));
	must_hold(reader, "half\nthe second\na third one\nx\nthe second\n");
	limit_file_size(100);
	tear(reader, "z");
	MUST(say(one));
	limit_file_size(65);
	MUST(!say(two));
	limit_file_size(RLIM_INFINITY);
	tear(reader, "y");
	MUST(say(three) && say(three));
	must_hold(reader, "half\nthe second\na third one\nx\nthe second\nz\nthe first line\ny\na "
			  "third one\na third "
			  "one\n");
	close(writer);
}

/* A file that may only be written to is not looked at. */
static void unread_body(void *arg)
{
	int reader;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	tear(reader, "half");
	MUST(sink_open_fd(writer) == 0);
	MUST(say(two));
	must_hold(reader, "halfthe second\n");
}

static void unread(void **state)
{
	(void)state;
	in_child(unread_body, NULL);
}

/* A line that was cut in the middle is ended before the next, once. */
static void torn_line(void **state)
{
	(void)state;
	in_child(torn_body, NULL);
}

static void replaced_body(void *arg)
{
	int reader, other_reader, fd;
	const int writer = new_file(&reader, O_APPEND), other = new_file(&other_reader, O_APPEND);

	(void)arg;
	MUST(sink_open_fd(writer) == 0);
	MUST(say(one));
	fd = own_number(OWN_LOG);
	MUST(dup2(other, fd) == fd);
	for (int i = 0; i < 3; i++)
		MUST(!say(two));
	must_hold(other_reader, "");
	must_hold(reader, one);

	/* The number is the program's now: neither ours nor closed. */
	MUST(!own_is(fd));
	MUST(fcntl(fd, F_GETFD) >= 0);
}

/* What the program has put under our number behind our back gets nothing from us. */
static void replaced(void **state)
{
	(void)state;
	in_child(replaced_body, NULL);
}

static void replaced_pipe_body(void *arg)
{
	int ours[2], theirs[2], fd;
	char byte;

	(void)arg;
	MUST(pipe(ours) == 0 && pipe2(theirs, O_NONBLOCK) == 0);
	MUST(sink_open_fd(ours[1]) == 0);
	MUST(say(one));
	fd = own_number(OWN_LOG);
	MUST(dup2(theirs[1], fd) == fd);
	MUST(!say(two));
	MUST(read(theirs[0], &byte, 1) < 0 && errno == EAGAIN);
}

/* The same where both are pipes, which share a device. */
static void replaced_pipe(void **state)
{
	(void)state;
	in_child(replaced_pipe_body, NULL);
}

static void closed_body(void *arg)
{
	int reader, fd;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	MUST(sink_open_fd(writer) == 0);
	fd = own_number(OWN_LOG);
	close(fd);
	MUST(!say(one));
	MUST(!own_is(fd));
	MUST(!say(one));
	must_hold(reader, "");
}

/* Our descriptor closed behind our back: lines are lost, for good. */
static void closed(void **state)
{
	(void)state;
	in_child(closed_body, NULL);
}

static void moved_body(void *arg)
{
	int reader, fd;
	const int writer = new_file(&reader, O_APPEND);

	(void)arg;
	MUST(sink_open_fd(writer) == 0);
	MUST(say(one));
	fd = own_number(OWN_LOG);
	own_move_away(fd);
	MUST(dup2(STDERR_FILENO, fd) == fd);
	MUST(say(two));
	must_hold(reader, "the first line\nthe second\n");
}

/* Moved away from a number that the program wants, the sink goes on. */
static void moved(void **state)
{
	(void)state;
	in_child(moved_body, NULL);
}

/* An abstract address that the kernel picks. */
static int new_reader(struct sockaddr_un *ret, socklen_t *ret_len)
{
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	const sa_family_t family = AF_UNIX;

	memset(ret, 0, sizeof(*ret));
	*ret_len = sizeof(*ret);
	MUST(fd >= 0);
	MUST(bind(fd, (const struct sockaddr *)&family, sizeof(family)) == 0);
	MUST(getsockname(fd, (struct sockaddr *)ret, ret_len) == 0);
	return fd;
}

static void must_get(int fd, const char *line)
{
	char got[128];
	const ssize_t len = recv(fd, got, sizeof(got), 0);

	MUST(len == (ssize_t)strlen(line));
	MUST(memcmp(got, line, strlen(line)) == 0);
}

static void unix_body(void *arg)
{
	struct sockaddr_un addr;
	socklen_t len;
	int reader = new_reader(&addr, &len), lines = 0;

	(void)arg;
	errno = 1234;
	MUST(sink_open_unix(&addr, len, true) == 0);
	MUST(say(one) && say(two));
	MUST(errno == 1234);
	must_get(reader, one);
	must_get(reader, two);

	/* A reader that does not read: lost, without waiting. */
	while (say(three))
		MUST(++lines < 100000);
	MUST(lines > 0);
	MUST(!say(three));
	while (lines--)
		must_get(reader, three);
	MUST(say(one));
	must_get(reader, one);

	/* Gone: lost, without a signal. Another at the same place gets the next line. */
	close(reader);
	MUST(!say(two));
	MUST(!say(two));
	reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	MUST(bind(reader, (struct sockaddr *)&addr, len) == 0);
	MUST(say(three));
	must_get(reader, three);
	MUST(recv(reader, &lines, sizeof(lines), 0) < 0);
}

/* To a unix socket: a datagram a line; no waiting, no signal, and back with a new reader. */
static void unix_socket(void **state)
{
	(void)state;
	in_child(unix_body, NULL);
}

static void nobody_body(void *arg)
{
	struct sockaddr_un addr;
	socklen_t len;
	const int reader = new_reader(&addr, &len), before = dup(STDERR_FILENO);

	(void)arg;
	close(reader);
	MUST(sink_open_unix(&addr, len, true) == -ECONNREFUSED);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/nonexistent/socket");
	MUST(sink_open_unix(&addr, sizeof(addr), true) == -ENOENT);
	MUST(!say(one));
	close(before);
	MUST(dup(STDERR_FILENO) == reader); /* nothing stays open */
}

/* Nobody there: said at once, and no descriptor is left. */
static void nobody(void **state)
{
	(void)state;
	in_child(nobody_body, NULL);
}

static void stream_body(void *arg)
{
	static char got[1 << 20];
	const int small = 1;
	int ends[2], lines = 0;
	ssize_t len;

	(void)arg;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	MUST(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	MUST(sink_open_fd(ends[1]) == 0);
	while (say(one))
		MUST(++lines < 100000);
	MUST(lines > 0);
	MUST(!say(one));
	len = recv(ends[0], got, sizeof(got), MSG_DONTWAIT);
	MUST(len >= lines * (ssize_t)strlen(one));
	MUST(say(two));
	len = recv(ends[0], got, sizeof(got), MSG_DONTWAIT);
	MUST(len >= (ssize_t)strlen(two));
	MUST(memcmp(got + len - strlen(two), two, strlen(two)) == 0);

	/* The other end gone: no SIGPIPE. */
	close(ends[0]);
	MUST(!say(one));
}

/* Standard error may be a stream socket: full or ended, it neither waits nor kills. */
static void stream_socket(void **state)
{
	(void)state;
	in_child(stream_body, NULL);
}

static void terminal_body(void *arg)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY);
	char got[64];
	int slave;

	(void)arg;
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return; /* no terminals here */
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	MUST(slave >= 0);
	MUST(sink_open_fd(slave) == 0);
	MUST(sink_is_terminal());
	MUST(say(one));
	MUST(read(master, got, sizeof(got)) == (ssize_t)strlen(one) + 1); /* \r before \n */
	MUST(memcmp(got, one, strlen(one) - 1) == 0);
}

/* A terminal is known as one; /dev/null is a device, but none. */
static void terminal(void **state)
{
	(void)state;
	in_child(terminal_body, NULL);
}

static void null_body(void *arg)
{
	(void)arg;
	MUST(sink_open_fd(open("/dev/null", O_WRONLY)) == 0);
	MUST(!sink_is_terminal());
	MUST(say(one));
}

static void null_device(void **state)
{
	(void)state;
	in_child(null_body, NULL);
}

static void full_device_body(void *arg)
{
	const int fd = open("/dev/full", O_WRONLY);

	(void)arg;
	if (fd < 0)
		return;
	MUST(sink_open_fd(fd) == 0);
	errno = 1234;
	MUST(!say(one));
	MUST(errno == 1234);
}

/* A disk that is full loses the line. */
static void full_device(void **state)
{
	(void)state;
	in_child(full_device_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unopened),	  cmocka_unit_test(file),
		cmocka_unit_test(threads),	  cmocka_unit_test(full_pipe),
		cmocka_unit_test(narrow_pipe),	  cmocka_unit_test(no_reader),
		cmocka_unit_test(blocked_before), cmocka_unit_test(pending_before),
		cmocka_unit_test(file_limit),	  cmocka_unit_test(torn_line),
		cmocka_unit_test(unread),	  cmocka_unit_test(replaced),
		cmocka_unit_test(replaced_pipe),  cmocka_unit_test(closed),
		cmocka_unit_test(moved),	  cmocka_unit_test(unix_socket),
		cmocka_unit_test(nobody),	  cmocka_unit_test(stream_socket),
		cmocka_unit_test(terminal),	  cmocka_unit_test(null_device),
		cmocka_unit_test(full_device),
	};

	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
