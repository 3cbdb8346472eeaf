/* SPDX-License-Identifier: MIT */
/*
 * test_proc.c - observe/proc: numbers in files, descriptors and processes in folders,
 * and whose a socket is.
 */
#include "observe/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "unit.h"

enum { MOST = 2000 }; /* descriptors that a search looks at */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/libreuse-unit-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	(void)state;
	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	return rmdir(folder);
}

static const char *path_of(const char *name)
{
	static char path[sizeof(folder) + 300];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* As many as were asked for, or none. */
static void numbers(void **state)
{
	static const struct {
		const char *text;
		unsigned int asked;
		bool good;
		uint32_t numbers[3];
	} rows[] = {
		{"32768\t60999\n", 2, true, {32768, 60999}},
		{"32768\t60999\n", 1, true, {32768}},
		{"32768\t60999\n", 3, false, {0}},
		{"1024\n", 1, true, {1024}},
		{"1024\n", 2, false, {0}},
		{"  7 \t 8  9", 3, true, {7, 8, 9}},
		{"0\n", 1, true, {0}},
		{"4294967295\n", 1, true, {4294967295}},
		{"1504\t0\t9223372036854775807\n", 3, true, {1504, 0, UINT32_MAX}},
		{"99999999999 8\n", 2, true, {UINT32_MAX, 8}},
		{"", 1, false, {0}},
		{"\n", 1, false, {0}},
		{"none\n", 1, false, {0}},
		{"-1\n", 1, false, {0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t got[3] = {0};

		write_file("numbers", rows[i].text);
		if (proc_numbers(path_of("numbers"), got, rows[i].asked) != rows[i].good)
			fail_msg("row %zu: %s", i, rows[i].good ? "refused" : "taken");
		for (unsigned int k = 0; rows[i].good && k < rows[i].asked; k++)
			assert_int_equal(got[k], rows[i].numbers[k]);
	}
}

static void numbers_of_no_file(void **state)
{
	uint32_t number;

	(void)state;
	assert_false(proc_numbers(path_of("missing"), &number, 1));
	assert_false(proc_numbers(folder, &number, 1));
}

/* What the kernel has: the same as by stdio. */
static void numbers_of_the_kernel(void **state)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int low, high;
	uint32_t got[2];

	(void)state;
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u %u", &low, &high), 2);
	fclose(file);
	assert_true(proc_numbers("/proc/sys/net/ipv4/ip_local_port_range", got, 2));
	assert_int_equal(got[0], low);
	assert_int_equal(got[1], high);
}

struct seen {
	unsigned int count;
	int stop_at; /* the number at which the walk ends */
	int rc;	     /* with this */
	bool numbers[5000];
};

static int see(int number, void *arg)
{
	struct seen *seen = arg;

	seen->count++;
	if (number >= 0 && (size_t)number < COUNT_OF(seen->numbers)) {
		assert_false(seen->numbers[number]);
		seen->numbers[number] = true;
	}
	return number == seen->stop_at ? seen->rc : 0;
}

/* Each name that is a number, once, however many reads that takes; and no other name. */
static void list(void **state)
{
	static const char *const others[] = {"self", "12a",	    "a12",	  "-3",
					     "1.5",  "99999999999", "2147483648", "12 "};
	static struct seen seen;
	char name[16];
	int dir;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		write_file(name, "");
	}
	for (size_t i = 0; i < COUNT_OF(others); i++)
		write_file(others[i], "");
	seen = (struct seen){.stop_at = -1};
	assert_int_equal(proc_list(AT_FDCWD, folder, see, &seen), 0);
	assert_int_equal(seen.count, 3000);

	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(dir, errno);
	seen = (struct seen){.stop_at = -1};
	assert_int_equal(proc_list(dir, ".", see, &seen), 0);
	assert_int_equal(seen.count, 3000);
	close(dir);

	/* Whatever the visitor returns ends the walk there. */
	seen = (struct seen){.stop_at = 1234, .rc = 5};
	assert_int_equal(proc_list(AT_FDCWD, folder, see, &seen), 5);
	assert_true(seen.numbers[1234]);
	seen = (struct seen){.stop_at = 77, .rc = -EAGAIN};
	assert_int_equal(proc_list(AT_FDCWD, folder, see, &seen), -EAGAIN);
}

static void list_the_greatest(void **state)
{
	static struct seen seen = {.stop_at = INT_MAX, .rc = 1};

	(void)state;
	write_file("2147483647", "");
	assert_int_equal(proc_list(AT_FDCWD, folder, see, &seen), 1);
}

static void list_descriptors(void **state)
{
	static struct seen seen = {.stop_at = -1};
	const int fd = fcntl(0, F_DUPFD_CLOEXEC, 300);

	(void)state;
	assert_return_code(fd, errno);
	assert_int_equal(proc_list(AT_FDCWD, "/proc/self/fd", see, &seen), 0);
	assert_true(seen.numbers[fd]);
	for (int number = 0; number < 1024; number++) {
		/* The walk's own descriptor is in the list, and gone by now. */
		if (fcntl(number, F_GETFD) >= 0)
			assert_true(seen.numbers[number]);
	}
	close(fd);
	seen = (struct seen){.stop_at = -1};
	assert_int_equal(proc_list(AT_FDCWD, "/proc/self/fd", see, &seen), 0);
	assert_false(seen.numbers[fd]);
}

static void list_nothing(void **state)
{
	static struct seen seen = {.stop_at = -1};
	const unsigned int before = open_descriptors();

	(void)state;
	write_file("file", "");
	assert_int_equal(proc_list(AT_FDCWD, path_of("missing"), see, &seen), -ENOENT);
	assert_int_equal(proc_list(AT_FDCWD, path_of("file"), see, &seen), -ENOTDIR);
	assert_int_equal(proc_list(-1, ".", see, &seen), -EBADF);
	assert_int_equal(seen.count, 0);
	assert_int_equal(open_descriptors(), before);
}

static uint32_t inode_of(int fd)
{
	struct stat stat;

	MUST(fstat(fd, &stat) == 0);
	return (uint32_t)stat.st_ino;
}

static int new_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(fd, errno);
	return fd;
}

/* Searched for to the end, however busy the machine is, and however much is open on it. */
static struct proc_owner owner_of(uint32_t inode)
{
	struct proc_owner owner;

	proc_find_owner_within(inode, UINT64_MAX / 2, UINT_MAX, &owner);
	return owner;
}

static void owner_is_us(void **state)
{
	const int fd = new_socket();
	const unsigned int before = open_descriptors();
	char name[16];
	struct proc_owner owner;

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	owner = owner_of(inode_of(fd));
	assert_true(owner.looked_up);
	assert_int_equal(owner.pid, getpid());
	assert_int_equal(owner.fd, fd);
	assert_int_equal(owner.tid, 0);
	assert_string_equal(owner.prog, name);
	assert_int_equal(open_descriptors(), before);
	close(fd);
}

/* A child of that name that holds the socket until the pipe is closed. */
static pid_t holder(int fd, const char *name, int *pipe_end)
{
	int ready[2], held[2];
	char byte;
	pid_t child;

	assert_return_code(pipe2(ready, O_CLOEXEC), errno);
	assert_return_code(pipe2(held, O_CLOEXEC), errno);
	child = fork_for_a_while();
	if (child == 0) {
		close(held[1]);
		MUST(fcntl(fd, F_GETFD) >= 0);
		MUST(prctl(PR_SET_NAME, name) == 0);
		MUST(write(ready[1], "r", 1) == 1);
		MUST(read(held[0], &byte, 1) == 0);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(held[0]);
	*pipe_end = held[1];
	return child;
}

static void release(pid_t child, int pipe_end)
{
	int status;

	close(pipe_end);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void owner_is_another(void **state)
{
	static const char *const names[] = {"plain", "with blanks) 7", "fifteen-letters"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const int fd = new_socket();
		const uint32_t inode = inode_of(fd);
		int held;
		const pid_t child = holder(fd, names[i], &held);
		struct proc_owner owner = owner_of(inode);

		/* Both have it: we come first. */
		assert_int_equal(owner.pid, getpid());
		assert_int_equal(owner.fd, fd);
		assert_int_equal(owner.others, 1);
		assert_true(owner.shared.by_fork);
		close(fd);
		owner = owner_of(inode);
		assert_int_equal(owner.pid, child);
		assert_string_equal(owner.prog, names[i]);
		assert_true(owner.looked_up);
		assert_int_equal(owner.others, 0);
		release(child, held);
	}
}

/* A process and its descriptor: executed or not, close-on-exec or not. */
static void sharers(void **state)
{
	static const char name[] = "a ) (b";
	const int fd = new_socket();
	int held;
	const pid_t child = holder(fd, name, &held);
	char room[PROC_ROOM];
	struct sharer sharer;

	(void)state;
	assert_true(proc_sharer(child, fd, room, &sharer));
	assert_int_equal(sharer.pid, child);
	assert_int_equal(sharer.parent, getpid());
	assert_int_equal(sharer.fd, fd);
	assert_string_equal(sharer.prog, name);
	assert_false(sharer.execed);
	assert_true(sharer.cloexec);
	release(child, held);
	assert_false(proc_sharer(child, fd, room, &sharer));

	/* The test itself runs in a program that was executed. */
	assert_true(proc_sharer(getpid(), fd, room, &sharer));
	assert_int_equal(sharer.parent, getppid());
	assert_true(sharer.execed);
	assert_return_code(fcntl(fd, F_SETFD, 0), errno);
	assert_true(proc_sharer(getpid(), fd, room, &sharer));
	assert_false(sharer.cloexec);
	close(fd);
	assert_true(proc_sharer(getpid(), fd, room, &sharer));
	assert_true(sharer.cloexec); /* not known */
}

/* Nobody has it: that is said, and not that it was not looked for. */
static void owner_is_nobody(void **state)
{
	const int fd = new_socket();
	const uint32_t inode = inode_of(fd);
	struct proc_owner owner;

	(void)state;
	close(fd);
	owner = owner_of(inode);
	assert_int_equal(owner.pid, 0);
	assert_string_equal(owner.prog, "");
	assert_true(owner.looked_up);
}

/* No time, or no descriptor that may be looked at: nobody is found, and that is said. */
static void owner_out_of_reach(void **state)
{
	const int fd = new_socket();
	struct proc_owner owner;

	(void)state;
	proc_find_owner_within(inode_of(fd), 0, UINT_MAX, &owner);
	assert_int_equal(owner.pid, 0);
	assert_false(owner.looked_up);
	proc_find_owner_within(inode_of(fd), UINT64_MAX / 2, 0, &owner);
	assert_int_equal(owner.pid, 0);
	assert_false(owner.looked_up);
	close(fd);
}

/* The number is compared as a whole: not the beginning of another. */
static void owner_of_a_part(void **state)
{
	const int fd = new_socket();
	const uint32_t inode = inode_of(fd);
	struct proc_owner owner = owner_of(inode / 10);

	(void)state;
	if (owner.pid == getpid())
		fail_msg("%u is not %u", inode / 10, inode);
	close(fd);
}

struct crowd {
	uint32_t inode; /* of the socket to look for */
	unsigned int fill;
	bool found;
};

/* A process with so many descriptors looks for a socket. */
static void look_in_crowd(void *arg)
{
	const struct crowd *crowd = arg;
	struct rlimit limit;
	struct proc_owner owner = {0};

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < 6000 ? limit.rlim_max : 6000;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (unsigned int i = 0; i < crowd->fill; i++)
		MUST(dup(0) >= 0);
	/* The search may not come so far within its time: then it is made again. */
	for (int i = 0; i < (crowd->found ? 100 : 3) && !owner.pid; i++)
		proc_find_owner(crowd->inode, &owner);
	MUST(!owner.looked_up || crowd->found);
	MUST(owner.pid == (crowd->found ? getpid() : 0));
	MUST(crowd->found || !owner.prog[0]);
}

/* Our own descriptors come first, and after 2,000 of them no others are looked at. */
static void gives_up(void **state)
{
	const int fd = new_socket(), high = 5000;
	struct crowd crowd = {.inode = inode_of(fd), .fill = MOST - 200, .found = true};
	struct rlimit limit;
	int held;
	pid_t child;

	(void)state;
	assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
	if (limit.rlim_max < 6000)
		skip();
	in_child(look_in_crowd, &crowd);

	/* Beyond the first 2,000 of our own, … */
	limit.rlim_cur = 6000;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
	assert_int_equal(dup2(fd, high), high);
	close(fd);
	crowd.fill = MOST + 100;
	crowd.found = false;
	in_child(look_in_crowd, &crowd);

	/* … and with another process, which nobody comes to. */
	child = holder(high, "holder", &held);
	close(high);
	in_child(look_in_crowd, &crowd);
	release(child, held);
}

static struct proc_owner keeper_of(uint32_t inode, int closed)
{
	struct proc_owner keeper;

	proc_find_keeper_within(inode, closed, UINT64_MAX / 2, UINT_MAX, &keeper);
	return keeper;
}

/* A thread that waits for a byte. */
struct waiter {
	pthread_t thread;
	int ends[2];
	uint32_t inode;
	_Atomic(pid_t) tid;
};

static void *wait_for_byte(void *arg)
{
	struct waiter *waiter = arg;
	char byte;

	waiter->tid = (pid_t)syscall(SYS_gettid);
	MUST(recv(waiter->ends[0], &byte, 1, 0) == 1);
	return NULL;
}

/* Until it is found to wait, on a number that is open still. */
static void begin_to_wait(struct waiter *waiter)
{
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, waiter->ends), errno);
	waiter->inode = inode_of(waiter->ends[0]);
	assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_byte, waiter), 0);
	while (!keeper_of(0, waiter->ends[0]).tid)
		sched_yield();
}

static void end_waiting(struct waiter *waiter)
{
	assert_int_equal(send(waiter->ends[1], "x", 1, 0), 1);
	assert_int_equal(pthread_join(waiter->thread, NULL), 0);
	close(waiter->ends[1]);
}

/* A call that waits keeps a socket open whose number is closed. */
static void keeper_is_a_thread(void **state)
{
	struct waiter waiter = {0};
	char name[16];

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	begin_to_wait(&waiter);
	close(waiter.ends[0]);

	const struct proc_owner keeper = keeper_of(waiter.inode, waiter.ends[0]);

	assert_int_equal(keeper.tid, waiter.tid);
	assert_int_equal(keeper.pid, getpid());
	assert_string_equal(keeper.prog, name);
	assert_true(keeper.looked_up);
	/* Only where it is asked for, and by its own number: 0x1… is not 0x10. */
	assert_int_equal(owner_of(waiter.inode).pid, 0);
	assert_int_equal(keeper_of(waiter.inode, waiter.ends[0] + 16).tid, 0);
	assert_int_equal(keeper_of(waiter.inode, waiter.ends[0] * 16).tid, 0);
	end_waiting(&waiter);
	assert_int_equal(keeper_of(waiter.inode, waiter.ends[0]).pid, 0);
}

/* Where we have it open as another number, that is what can be closed. */
static void keeper_before_threads(void **state)
{
	struct waiter waiter = {0};
	int copy;

	(void)state;
	begin_to_wait(&waiter);
	copy = fcntl(waiter.ends[0], F_DUPFD_CLOEXEC, 0);
	assert_return_code(copy, errno);
	close(waiter.ends[0]);

	const struct proc_owner keeper = keeper_of(waiter.inode, waiter.ends[0]);

	assert_int_equal(keeper.pid, getpid());
	assert_int_equal(keeper.tid, 0);
	assert_int_equal(keeper.fd, copy);
	close(copy);
	end_waiting(&waiter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(numbers_of_no_file, make_folder, remove_folder),
		cmocka_unit_test(numbers_of_the_kernel),
		cmocka_unit_test_setup_teardown(list, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(list_the_greatest, make_folder, remove_folder),
		cmocka_unit_test(list_descriptors),
		cmocka_unit_test_setup_teardown(list_nothing, make_folder, remove_folder),
		cmocka_unit_test(owner_is_us),
		cmocka_unit_test(owner_is_another),
		cmocka_unit_test(sharers),
		cmocka_unit_test(owner_is_nobody),
		cmocka_unit_test(owner_out_of_reach),
		cmocka_unit_test(owner_of_a_part),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(keeper_is_a_thread),
		cmocka_unit_test(keeper_before_threads),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
