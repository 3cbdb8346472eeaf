/* SPDX-License-Identifier: MIT */
/*
 * test_failing.c - each system call of the library's own fails, one at a time and for good.
 *
 * The library is linked in a build of its own (SYS_FAILING, sys/sys.h), whose calls all come
 * through sys_call6_or_fail below. A story is told once as it is, then for each call that
 * it made, and each error, once more: that call is not made and answers with the error, and so
 * does every later one of its number where the error lasts. Nothing may crash, nothing be left
 * open, mapped or blocked, errno is the program's, and what is answered is an error or right.
 * Each in a child of its own, as the modules keep what they open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "boot/boot.h"
#include "facts/ring_file.h"
#include "facts/shim.h"
#include "log/record.h"
#include "log/ring.h"
#include "log/sink.h"
#include "made.h"
#include "observe/diag.h"
#include "observe/proc.h"
#include "observe/tcp_state.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"
#include "unit.h"

/* --- The calls */

enum { MOST_CALLS = 200, MOST_ERRORS = 4 }; /* a story's, of which each fails */

static char folder[] = "/tmp/libreuse-failing-XXXXXX", path[sizeof(folder) + 16];

/*
 * In the place of /proc, where that is listed: a story and who started it. How many others a
 * machine has, and what they have open, must not matter.
 */
static char processes[sizeof(folder) + 16];

/* Seen by the child and by who judges its end. */
static struct plan {
	long nth; /* the call that fails; 0: none */
	int error;
	bool lasts;	 /* so do all later ones of its number */
	bool is_failing; /* it has begun */
	bool armed;
	long number; /* of the call that failed */
	long made;
	long numbers[MOST_CALLS]; /* what the first calls were */
} * plan;

/* What is mapped by the library. */
static struct mapping {
	long address, len;
	bool shared;
} mapped[64];

static struct rlimit64 limit_before;

static void note_mapping(long number, long a, long b, long d, long rc)
{
	size_t i = 0;

	if (number == SYS_mmap && rc > 0) {
		while (i < COUNT_OF(mapped) && mapped[i].len)
			i++;
		MUST(i < COUNT_OF(mapped));
		mapped[i] = (struct mapping){rc, b, d & MAP_SHARED};
	}
	for (; number == SYS_munmap && rc == 0 && i < COUNT_OF(mapped); i++)
		if (mapped[i].len && mapped[i].address == a) {
			MUST(mapped[i].len == b);
			mapped[i].len = 0;
		}
}

/*
 * What gives back is done, whatever it answers: a close that fails has closed, and no kernel lets
 * a process block signals or raise its limit and does not let it undo that.
 */
static bool gives_back(long number, long a, long b, long c)
{
	switch (number) {
	case SYS_close:
	case SYS_munmap:
		return true;
	case SYS_rt_sigprocmask:
		return a == SIG_SETMASK && !c;
	case SYS_prlimit64:
		return c && ((const struct rlimit64 *)c)->rlim_cur == limit_before.rlim_cur;
	case SYS_fcntl:
		return b == F_SETLK && ((const struct flock *)c)->l_type == F_UNLCK;
	default:
		return false;
	}
}

/* By which a helper is seen off, as often as it takes: no run would have the n-th of another. */
static bool is_waiting(long number)
{
	return number == SYS_futex || number == SYS_sched_yield || number == SYS_tgkill ||
	       number == SYS_rt_sigtimedwait || number == SYS_nanosleep ||
	       number == SYS_clock_nanosleep;
}

/* What a number is that is not open: a helper asks of each low one. */
static bool is_of_none(long number, long fd)
{
	return number == SYS_statx && fd >= 0 && sys_call6(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) < 0;
}

/* By another process, when the head of a ring is about to be locked; NULL: not any more. */
static const char *removed;

long sys_call6_or_fail(long number, long a, long b, long c, long d, long e, long f);

long sys_call6_or_fail(long number, long a, long b, long c, long d, long e, long f)
{
	bool fails = false;
	long rc;

	if (plan->armed && !is_waiting(number) && !is_of_none(number, a)) {
		if (plan->made < MOST_CALLS)
			plan->numbers[plan->made] = number;
		plan->made++;
		fails = plan->made == plan->nth ||
			(plan->is_failing && plan->lasts && number == plan->number);
	}
	if (fails) {
		plan->is_failing = true;
		plan->number = number;
	}
	if (number == SYS_fcntl && b == F_SETLK && removed) {
		unlink(removed);
		removed = NULL;
	}
	if (number == SYS_openat && strcmp((const char *)b, "/proc") == 0)
		b = (long)processes;
	if (fails && !gives_back(number, a, b, c)) {
		if (number == SYS_rt_sigprocmask && c) /* what it did not write is anything */
			memset((void *)c, 0x55, sizeof(uint64_t));
		return -plan->error;
	}
	rc = sys_call6(number, a, b, c, d, e, f);
	note_mapping(number, a, b, d, rc);
	return fails ? -plan->error : rc;
}

/* Passing errors, and some that last. */
static const struct errors {
	long number;
	int errors[MOST_ERRORS];
} all_errors[] = {
	{SYS_getsockopt, {ENOBUFS, EPERM}},
	{SYS_getsockname, {ENOBUFS}},
	{SYS_getpeername, {ENOBUFS, ENOTCONN}},
	{SYS_socket, {EMFILE, EAFNOSUPPORT}},
	{SYS_sendto, {EAGAIN, ENOBUFS, ECONNREFUSED}},
	{SYS_recvfrom, {EAGAIN, ENOBUFS, EINTR}},
	{SYS_connect, {ECONNREFUSED, EAGAIN, EACCES}},
	{SYS_write, {ENOSPC, EIO, EINTR, EAGAIN}},
	{SYS_pwrite64, {ENOSPC, EIO, EINTR}},
	{SYS_pwritev2, {EAGAIN, EOPNOTSUPP, EPIPE}},
	{SYS_openat, {EMFILE, EACCES, ENOENT, EEXIST}},
	{SYS_statx, {ENOSYS, EIO, ESTALE}},
	{SYS_fcntl, {EMFILE, EAGAIN, EINTR}},
	{SYS_mmap, {ENOMEM}},
	{SYS_madvise, {EINVAL, ENOMEM}},
	{SYS_close, {EINTR, EIO}},
	{SYS_close_range, {ENOMEM, EMFILE}}, /* what lasts is remembered */
	{SYS_getdents64, {EIO, EINTR}},
	{SYS_readlinkat, {EACCES, ENOMEM}},
	{SYS_fallocate, {ENOSPC, EOPNOTSUPP, EINTR}},
	{SYS_prlimit64, {EPERM}},
	{SYS_rt_sigprocmask, {EPERM, ENOSYS}},
	{SYS_getpid, {ENOSYS}},
	{SYS_gettid, {ENOSYS}},
};

/* The n-th error of that call; 0: it has no more. */
static int error_of(long number, int n)
{
	for (size_t i = 0; i < COUNT_OF(all_errors); i++)
		if (all_errors[i].number == number)
			return n < MOST_ERRORS ? all_errors[i].errors[n] : 0;
	return n == 0 ? EIO : 0;
}

/* --- The process, before and after */

enum { MOST_NUMBERS = 8192, ERRNO_BEFORE = 1234 };

static struct process_state {
	bool open[MOST_NUMBERS];
	sigset_t mask;
} before, after;

static void look_at_process(struct process_state *ret)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(ret, 0, sizeof(*ret));
	MUST(dir);
	while ((entry = readdir(dir))) {
		const int fd = atoi(entry->d_name);

		MUST(fd < MOST_NUMBERS);
		ret->open[fd] = entry->d_name[0] != '.' && fd != dirfd(dir);
	}
	closedir(dir);
	sigprocmask(SIG_BLOCK, NULL, &ret->mask);
}

static bool is_in_slot(int fd)
{
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		if (own_number(slot) == fd)
			return true;
	return false;
}

static int given = -1; /* a descriptor that the library takes over in the story */

static void must_leave_no_descriptor(void)
{
	for (int fd = 0; fd < MOST_NUMBERS; fd++) {
		const bool was = before.open[fd] && fd != given && !is_in_slot(fd);

		/* What was ours before may have moved away. */
		if (!after.open[fd])
			MUST(!was || fd >= own_lowest);
		else if (is_in_slot(fd))
			MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		else
			MUST(was);
	}
}

/* The process's page, what it shares with its children, and the work areas stay, once each. */
static void must_leave_no_mapping(void)
{
	int areas = 0, shared = 0;

	for (size_t i = 0; i < COUNT_OF(mapped); i++) {
		if (!mapped[i].len || mapped[i].address == (long)atomic_load(&process_page))
			continue;
		if (mapped[i].shared) {
			shared++;
			continue;
		}
		MUST(mapped[i].len >= 2 * WORK_SIZE); /* no single one */
		areas++;
	}
	MUST(areas <= 1 && shared <= 1);
}

static void must_be_as_before(void)
{
	struct rlimit64 limit;

	MUST(errno == ERRNO_BEFORE);
	look_at_process(&after);
	must_leave_no_descriptor();
	must_leave_no_mapping();
	for (int signal = 1; signal < NSIG; signal++)
		MUST(sigismember(&before.mask, signal) == sigismember(&after.mask, signal));
	MUST(getrlimit64(RLIMIT_NOFILE, &limit) == 0);
	MUST(limit.rlim_cur == limit_before.rlim_cur && limit.rlim_max == limit_before.rlim_max);
}

/* --- A story */

struct story {
	const char *name;
	void (*prepare)(void); /* before anything fails */
	void (*act)(void);     /* what fails */
	void (*judge)(void);   /* nothing fails any more: was it right, and does it go on? */
};

static FILE *words; /* what a child said on its stderr */

static void list_process(pid_t pid, int (*change)(const char *name))
{
	char name[sizeof(processes) + 16];

	snprintf(name, sizeof(name), "%s/%d", processes, pid);
	MUST(change(name) == 0);
}

static int list(const char *name)
{
	return mkdir(name, 0700);
}

static void tell(const struct story *story)
{
	list_process(getpid(), list);
	MUST(dup2(fileno(words), STDERR_FILENO) == STDERR_FILENO);
	unlink(path);
	MUST(getrlimit64(RLIMIT_NOFILE, &limit_before) == 0);
	story->prepare();
	look_at_process(&before);
	errno = ERRNO_BEFORE;
	plan->armed = true;
	story->act();
	plan->armed = false;
	must_be_as_before();
	if (story->judge)
		story->judge();
}

static void repeat_words(void)
{
	char line[1024];

	rewind(words);
	while (fgets(line, sizeof(line), words))
		fprintf(stderr, "    %s", line);
}

/* True where it ends well; else that is told. */
static bool tell_in_child(const struct story *story, struct plan how)
{
	int status = -1;
	pid_t child;

	*plan = how;
	rewind(words);
	MUST(ftruncate(fileno(words), 0) == 0);
	child = fork_for_a_while();
	if (child == 0) {
		tell(story);
		_exit(0);
	}
	MUST(child > 0 && waitpid(child, &status, 0) == child);
	list_process(child, rmdir);
	if (status == 0)
		return true;
	fprintf(stderr, "%s: call %ld of %ld, number %ld, error %d%s: %s %d\n", story->name,
		plan->nth, plan->made, plan->number, plan->error, plan->lasts ? " for good" : "",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	repeat_words();
	return false;
}

/* Every error of the call, as one that passes and as one that lasts. How many ended badly. */
static int fail_call(const struct story *story, long nth, long number)
{
	int error, bad = 0;

	for (int n = 0; (error = error_of(number, n)); n++)
		for (int lasts = 0; lasts < 2; lasts++)
			bad += !tell_in_child(
				story, (struct plan){.nth = nth, .error = error, .lasts = lasts});
	return bad;
}

static void each_call_fails(void **state)
{
	static long numbers[MOST_CALLS];
	const struct story *story = *state;
	long calls;
	int bad = 0;

	assert_true(tell_in_child(story, (struct plan){0}));
	calls = plan->made;
	assert_in_range(calls, 1, MOST_CALLS);
	memcpy(numbers, plan->numbers, sizeof(numbers));
	for (long nth = 1; nth <= calls; nth++)
		bad += fail_call(story, nth, numbers[nth - 1]);
	print_message("%s: %ld calls\n", story->name, calls);
	assert_int_equal(bad, 0);
}

/* --- The process itself */

static void nothing(void)
{
}

static int init_rc;
static pid_t owner, tid;

static void begin_process(void)
{
	init_rc = process_init();
	owner = process_owner();
	tid = process_tid();
}

static void judge_process(void)
{
	MUST(init_rc <= 0);
	MUST(owner == getpid() || (owner == 0 && plan->is_failing));
	MUST(tid == gettid() || tid == 0);
	MUST(process_owner() == getpid() || init_rc < 0);
	MUST(process_owner() == 0 || process_tid() == gettid());
}

/* As in a forked child, whose page is wiped. */
static void fork_process(void)
{
	process_use(pthread_self, pthread_getcpuclockid);
	MUST(process_init() == 0);
	process_tid();
	memset(&this_process, 0, sizeof(this_process));
}

static void claim_process(void)
{
	owner = process_owner();
	tid = owner ? process_tid() : 0;
}

/* --- Work areas, more than there are */

static void use_work(void)
{
	struct work work[18];
	bool has[COUNT_OF(work)];

	work_init();
	for (size_t i = 0; i < COUNT_OF(work); i++) {
		has[i] = work_begin(&work[i]);
		MUST(has[i] || plan->is_failing);
		if (has[i])
			memset(work[i].room, (int)i, WORK_SIZE);
	}
	/* As calls return: each gives back the signals as it found them. */
	for (size_t i = COUNT_OF(work); i-- > 0;) {
		if (!has[i])
			continue;
		MUST(work[i].room[0] == (char)i && work[i].room[WORK_SIZE - 1] == (char)i);
		work_end(&work[i]);
	}
}

/* --- What the program's pointers point to */

static char *end_of_memory;

static void map_end(void)
{
	end_of_memory = memory_end(64);
}

static void peek(void)
{
	static const uint64_t here = 0x123456789abcdef;
	struct sys_pages pages = {{0}, 0};
	uint64_t got = 0;

	MUST(sys_peek(&got, &here, sizeof(here)) == -EFAULT || got == here);
	MUST(sys_peek_word(&got, &here) == -EFAULT || got == here);
	MUST(sys_peek_again(&pages, &got, &here, sizeof(here)) == -EFAULT || got == here);
	MUST(sys_peek_word_again(&pages, &got, &here) == -EFAULT || got == here);
	/* What can't be read is never read. */
	MUST(sys_peek(&got, end_of_memory, sizeof(got)) == -EFAULT);
	MUST(sys_peek(&got, end_of_memory - 4, sizeof(got)) == -EFAULT);
	MUST(sys_peek_word(&got, end_of_memory) == -EFAULT);
	MUST(sys_peek_again(&pages, &got, end_of_memory - 4, sizeof(got)) == -EFAULT);
	MUST(sys_peek_word_again(&pages, &got, end_of_memory) == -EFAULT);
}

/* --- Descriptors of ours */

static ino_t given_inode;

static bool is_given(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && stat.st_ino == given_inode;
}

static int new_file(void)
{
	const int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct stat stat;

	MUST(fd >= 0 && fstat(fd, &stat) == 0);
	given_inode = stat.st_ino;
	return fd;
}

static void give_file(void)
{
	MUST(process_init() == 0);
	given = new_file();
}

static void adopt(void)
{
	int high, moved;

	own_load_begin();
	high = own_adopt(OWN_LOG, given);
	own_load_end();
	MUST(high >= 0 || plan->is_failing);
	MUST(own_number(OWN_LOG) == (high < 0 ? -1 : high));
	if (high < 0)
		return;
	MUST(own_is(high));
	MUST(own_checked(OWN_LOG) == high || plan->is_failing);
	MUST(own_move_away(high));
	moved = own_number(OWN_LOG);
	close(high); /* as the program's dup2 does */
	MUST(moved != high && (moved >= 0 || plan->is_failing));
	MUST(moved < 0 || own_is(moved));
}

static void judge_own(void)
{
	const int fd = own_number(OWN_LOG);

	MUST(fcntl(given, F_GETFD) < 0);
	MUST(fd < 0 || is_given(fd));
	MUST(own_checked(OWN_LOG) == fd);
}

/* --- A log of lines */

static const char *const lines[] = {"the first line\n", "the second\n", "a third one\n"};
static const char torn[] = "torn", last[] = "the last\n";
static struct settings set;
static bool opened, said[COUNT_OF(lines)];
static int reader = -1;

static void log_to(enum log_kind kind, const char *to)
{
	MUST(process_init() == 0);
	set = (struct settings){.log = kind, .ring_size = 65536};
	set.log_path = to;
	set.log_path_len = strlen(to);
}

static void prepare_new_file(void)
{
	log_to(LOG_FILE, path);
}

static void prepare_torn_file(void)
{
	const int fd = new_file();

	MUST(write(fd, torn, strlen(torn)) == (ssize_t)strlen(torn));
	close(fd);
	log_to(LOG_FILE, path);
}

static void prepare_limited_file(void)
{
	const struct rlimit limit = {1 << 20, 1 << 20};

	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	prepare_torn_file();
}

static void prepare_pipe(void)
{
	static char name[32];
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	reader = ends[0];
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[1]);
	log_to(LOG_FILE, name);
}

static void prepare_unix(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memcpy(addr.sun_path, path, sizeof(path));
	reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(reader >= 0);
	MUST(bind(reader, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	log_to(LOG_UNIX, path);
}

static void log_lines(void)
{
	opened = log_open(&set, "prog", getpid());
	MUST(opened || plan->is_failing);
	/* To complain is libc's as well, and only at load. */
	if (!opened)
		errno = ERRNO_BEFORE;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		said[i] = opened && sink_write(lines[i], strlen(lines[i]));
		MUST(said[i] || plan->is_failing);
	}
}

/* All that came, of a file or of what is read once. */
static void read_log(char *ret, size_t size)
{
	const int fd = reader >= 0 ? reader : open(path, O_RDONLY);
	ssize_t got = 0, len = 0;

	if (reader >= 0)
		MUST(fcntl(reader, F_SETFL, O_NONBLOCK) == 0);
	while (fd >= 0 && (got = read(fd, ret + len, size - 1 - (size_t)len)) > 0)
		len += got;
	ret[len] = '\0';
}

static void judge_lines(void)
{
	char text[1024];

	MUST(!opened || sink_write(last, strlen(last)));
	read_log(text, sizeof(text));
	MUST(!opened || strstr(text, last));
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		const char *at = strstr(text, lines[i]);

		MUST(!at == !said[i]);
		MUST(!at || at == text || at[-1] == '\n' || strncmp(text, torn, 4) == 0);
		MUST(!at || !strstr(at + 1, lines[i]));
	}
}

/* --- A flight recorder */

enum { RECORDS = 3 };

static bool recorded[2 * RECORDS];

static bool is_recorded(uint64_t number)
{
	static char file[1 << 17] __attribute__((aligned(16)));
	const int fd = open(path, O_RDONLY);
	const ssize_t len = pread(fd, file, sizeof(file), 0);

	close(fd);
	for (ssize_t at = RING_DATA_AT; at + (ssize_t)sizeof(struct ring_record) <= len;
	     at += RECORD_ALIGN) {
		struct ring_record head;
		struct event ev = {0};

		memcpy(&head, file + at, sizeof(head));
		if (head.magic != RECORD_MAGIC || at + head.size > len ||
		    ring_record_sum((const uint64_t *)(const void *)(file + at), head.size) !=
			    head.sum)
			continue;
		memcpy(&ev, file + at + sizeof(head), head.event_size);
		if (ev.seq == number)
			return true;
	}
	return false;
}

static void prepare_ring(void)
{
	log_to(LOG_RING, path);
}

/* One that another process has just made, and has no room to make a ring of. */
static void prepare_lost_ring(void)
{
	MUST(close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0);
	removed = path;
	prepare_ring();
}

/* One that another process has made. */
static void prepare_old_ring(void)
{
	int status = -1;
	const pid_t child = fork();

	log_to(LOG_RING, path);
	if (child == 0) {
		MUST(log_open(&set, "prog", getpid()) && append_listen(1));
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child && status == 0);
}

static void prepare_rest_of_ring(void)
{
	prepare_old_ring();
	MUST(truncate(path, 100) == 0);
}

/* One record more and the chunk is full. */
static void prepare_full_chunk(void)
{
	uint64_t at;

	prepare_ring();
	MUST(log_open(&set, "prog", getpid()) && append_listen(1));
	do {
		at = atomic_load(&this_process.ring_at);
		MUST(append_listen(2));
	} while ((uint32_t)at + 3 * 256 < 4096 &&
		 (atomic_load(&this_process.ring_at) ^ at) >> 32 == 0);
	opened = true;
}

static void record_some(void)
{
	for (uint64_t i = 0; i < RECORDS; i++) {
		recorded[i] = opened && append_listen(100 + i);
		MUST(recorded[i] || plan->is_failing);
	}
}

static void open_and_record(void)
{
	opened = log_open(&set, "prog", getpid());
	MUST(opened || plan->is_failing);
	if (!opened)
		errno = ERRNO_BEFORE;
	record_some();
}

static void record_over_chunks(void)
{
	record_some();
	for (uint64_t i = RECORDS; i < 2 * RECORDS; i++)
		recorded[i] = append_listen(100 + i);
}

/* It is truncated between two records. */
static void record_and_mend(void)
{
	MUST(truncate(path, 5000) == 0);
	record_some();
}

static void judge_ring(void)
{
	int held = 0;

	for (uint64_t i = 0; i < 2 * RECORDS; i++)
		MUST(!recorded[i] || is_recorded(100 + i));
	MUST(!opened || (append_listen(99) && is_recorded(99)));
	for (int i = 0; i < RING_HELD_WORDS; i++)
		held += __builtin_popcountll(atomic_load(&this_process.ring_held[i]));
	MUST(held <= 1);
}

/* What can't be read is not made anew. */
static void judge_old_ring(void)
{
	judge_ring();
	MUST(is_recorded(1));
}

/* As by somebody who makes the file in this moment: then it is his. */
static bool is_locked_out(void)
{
	return plan->number == SYS_fcntl && (plan->error == EAGAIN || plan->error == EACCES);
}

static void judge_made_ring(void)
{
	struct stat stat;

	judge_ring();
	MUST(opened || plan->number == SYS_unlinkat || is_locked_out() || lstat(path, &stat) < 0);
	MUST(!opened || (lstat(path, &stat) == 0 && stat.st_size == 65536));
}

/* What is recorded is in a file that has its name, as far as the kernel tells whether it has. */
static void judge_lost_ring(void)
{
	struct stat stat;

	if (plan->number == SYS_statx)
		return;
	judge_ring();
	MUST(!opened || (lstat(path, &stat) == 0 && stat.st_size == 65536));
}

/* --- Questions to sock_diag */

static int listener, client, closed_one;
static struct diag_id listener_id, client_id, closed_id;

static int new_listener(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {.sin_family = AF_INET};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	MUST(listen(fd, 8) == 0);
	return fd;
}

static void prepare_question(void)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	MUST(process_init() == 0);
	work_init();
	listener = new_listener();
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
	MUST(connect(client, (struct sockaddr *)&addr, len) == 0);
	closed_one = new_listener();
	listener_id = diag_id_of(listener);
	client_id = diag_id_of(client);
	closed_id = diag_id_of(closed_one);
	close(closed_one);
}

static void prepare_kept(void)
{
	prepare_question();
	shim.events = CALL_BIT(CALL_LOGGED) - 1;
}

/* The sockets are the parent's, the page is wiped. */
static void prepare_after_fork(void)
{
	prepare_kept();
	diag_open();
	for (unsigned int i = 0; i < DIAG_SOCKETS; i++)
		atomic_store(&this_process.diag[i], 0);
}

static int visit_listener(const struct diag_sock *sock, void *arg)
{
	*(bool *)arg |= sock->cookie == listener_id.cookie;
	return 0;
}

/* An error, or the truth. */
static void must_find(const struct diag_id *id)
{
	struct diag_sock sock;
	int rc = diag_find_exact(id, &sock);

	MUST((rc < 0 && plan->is_failing) || (rc == 1 && sock.cookie == id->cookie));
	rc = diag_find_in_dump(id, ~0u, &sock);
	MUST((rc < 0 && plan->is_failing) || (rc == 1 && sock.cookie == id->cookie));
}

static void ask(void)
{
	const struct diag_scope scope = {.netns = listener_id.netns,
					 .protocol = IPPROTO_TCP,
					 .family = AF_INET,
					 .port = listener_id.local.port,
					 .kernel_states = ~0u};
	struct diag_sock sock;
	bool seen = false;
	int rc;

	must_find(&listener_id);
	must_find(&client_id);
	rc = diag_find_exact(&closed_id, &sock);
	MUST(rc == 0 || (rc < 0 && plan->is_failing));
	rc = diag_dump(&scope, visit_listener, &seen);
	MUST((rc < 0 && plan->is_failing) || (rc == 1 && seen));
	seen = false;
	rc = diag_dump_kept(&scope, visit_listener, &seen);
	MUST(rc < 0 || (rc == 1 && seen)); /* there may be none by now */
	MUST(diag_answers(IPPROTO_TCP) || plan->is_failing);
}

static void open_and_ask(void)
{
	if (shim.events)
		diag_open();
	ask();
}

static void judge_answers(void)
{
	plan->is_failing = false;
	ask();
}

/* A socket's own word. */
static void ask_socket(void)
{
	struct tcp_facts facts = {0};
	const struct diag_id id = diag_id_of(client);
	const int state = tcp_state(client), rc = tcp_ask(client, &facts);

	MUST(id.cookie == client_id.cookie || (!id.cookie && plan->is_failing));
	MUST(id.netns == client_id.netns || (!id.netns && plan->is_failing));
	MUST(id.local.port == client_id.local.port || (!id.local.family && plan->is_failing));
	MUST(id.peer.port == client_id.peer.port || (!id.peer.family && plan->is_failing));
	MUST(state == STATE_ESTABLISHED || (state < 0 && plan->is_failing));
	MUST((rc == 0 && facts.state == STATE_ESTABLISHED) || (rc < 0 && plan->is_failing));
}

/* --- What /proc knows */

static uint32_t inode;
static uint16_t first_port, last_port;

static void prepare_search(void)
{
	struct stat stat;

	MUST(prctl(PR_SET_NAME, "searcher") == 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(client >= 0 && fstat(client, &stat) == 0);
	inode = (uint32_t)stat.st_ino;
	MUST(proc_port_range(&first_port, &last_port));
}

enum { FEW = 10, MANY = 1000000 };
static const uint64_t minute_ns = 60000000000; /* a test's own time is over before */

/* Not to be found is not to be nobody's, where there is time to look at all. */
static void search_owner(void)
{
	struct proc_owner found;

	proc_find_owner_within(inode, minute_ns, MANY, &found);
	MUST(found.pid ? found.pid == getpid() && found.fd == client : plan->is_failing);
	MUST(found.pid || !found.looked_up);
	MUST(!found.pid || strcmp(found.prog, "searcher") == 0 || !found.prog[0]);
}

/* A thread that is blocked on the number that was closed. */
static void *wait_for_client(void *arg)
{
	char byte;

	MUST(recv(*(int *)arg, &byte, 1, 0) == 0);
	return NULL;
}

static bool is_waited_for(void)
{
	struct proc_owner found;

	proc_find_keeper_within(1, client, minute_ns, MANY, &found);
	return found.tid != 0;
}

static pthread_t waiting;
static int other_end;

static void prepare_keeper(void)
{
	int ends[2];

	prepare_search();
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	client = ends[0];
	other_end = ends[1];
	MUST(pthread_create(&waiting, NULL, wait_for_client, &client) == 0);
	while (!is_waited_for())
		sched_yield();
}

static void search_keeper(void)
{
	struct proc_owner found;

	proc_find_keeper_within(1, client, minute_ns, MANY, &found);
	MUST(found.tid ? found.pid == getpid() : plan->is_failing);
	/* ENOENT is what a thread leaves that has ended. */
	MUST(found.tid || !found.looked_up || plan->error == ENOENT);
}

/* An exit beside a thread takes ThreadSanitizer a second. */
static void judge_keeper(void)
{
	search_keeper();
	close(other_end);
	MUST(pthread_join(waiting, NULL) == 0);
}

/* What nobody has, to the end and not; and numbers. */
static void search(void)
{
	struct proc_owner found;
	uint16_t first, last_one;

	proc_find_keeper_within(1, client + 1, minute_ns, FEW, &found);
	MUST(!found.pid && !found.looked_up);
	proc_find_keeper_within(1, client + 1, minute_ns, MANY, &found);
	MUST(!found.pid && (found.looked_up || plan->is_failing));
	MUST(proc_port_range(&first, &last_one) ? first == first_port && last_one == last_port
						: plan->is_failing);
}

static const struct story stories[] = {
	{"process", nothing, begin_process, judge_process},
	{"process-forked", fork_process, claim_process, judge_process},
	{"work", nothing, use_work, use_work},
	{"peek", map_end, peek, peek},
	{"own", give_file, adopt, judge_own},
	{"log-file", prepare_new_file, log_lines, judge_lines},
	{"log-torn", prepare_torn_file, log_lines, judge_lines},
	{"log-limited", prepare_limited_file, log_lines, judge_lines},
	{"log-pipe", prepare_pipe, log_lines, judge_lines},
	{"log-unix", prepare_unix, log_lines, judge_lines},
	{"ring-new", prepare_ring, open_and_record, judge_made_ring},
	{"ring-lost", prepare_lost_ring, open_and_record, judge_lost_ring},
	{"ring-old", prepare_old_ring, open_and_record, judge_old_ring},
	{"ring-rest", prepare_rest_of_ring, open_and_record, judge_ring},
	{"ring-chunks", prepare_full_chunk, record_over_chunks, judge_ring},
	{"ring-mended", prepare_full_chunk, record_and_mend, judge_ring},
	{"diag", prepare_question, open_and_ask, judge_answers},
	{"diag-kept", prepare_kept, open_and_ask, judge_answers},
	{"diag-forked", prepare_after_fork, ask, judge_answers},
	{"socket", prepare_question, ask_socket, ask_socket},
	{"proc", prepare_search, search, search},
	{"proc-owner", prepare_search, search_owner, search_owner},
	{"proc-keeper", prepare_keeper, search_keeper, judge_keeper},
};

static int open_folder(void **state)
{
	(void)state;
	plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	words = tmpfile();
	if (plan == MAP_FAILED || !words || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(processes, sizeof(processes), "%s/proc", folder);
	if (list(processes) < 0)
		return -1;
	list_process(getpid(), list);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	list_process(getpid(), rmdir);
	return rmdir(processes) + rmdir(folder);
}

/* Ours lie above a soft limit that is below the hard one: no dup2 could be meant to move them. */
static void level_limits(void)
{
	struct rlimit64 limit;

	if (getrlimit64(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max > MOST_NUMBERS / 2)
		limit.rlim_max = MOST_NUMBERS / 2;
	limit.rlim_cur = limit.rlim_max;
	setrlimit64(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(stories)];

	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0); /* what who started us has open */
	level_limits();
	for (size_t i = 0; i < COUNT_OF(stories); i++)
		tests[i] = (struct CMUnitTest){
			.name = stories[i].name,
			.test_func = each_call_fails,
			.initial_state = (void *)(uintptr_t)&stories[i],
		};
	return cmocka_run_group_tests_name("failing", tests, open_folder, remove_folder);
}
