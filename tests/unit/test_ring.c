/* SPDX-License-Identifier: MIT */
/*
 * test_ring.c - log/ring: events into a file of fixed size. The file is read here by
 * what include/reuse/ring.h says of it. Each test in a child of its own, as the module
 * has one ring for good.
 */
#include "log/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "facts/ring_file.h"
#include "facts/sum.h"
#include "log/record.h"
#include "log/ring_make.h"
#include "made.h"
#include "sys/own.h"
#include "sys/process.h"
#include "unit.h"

enum { SMALL = 65536, SMALL_CHUNKS = (SMALL - RING_DATA_AT) / 4096, LARGE = 1 << 24 };

static int reader; /* the file of the test, to be read */

/* A file that has no name any more, as the ring's. */
static int new_file(void)
{
	char path[] = "/tmp/reuse-ring-XXXXXX";
	const int fd = mkstemp(path);

	reader = open(path, O_RDWR);
	MUST(fd >= 0 && reader >= 0);
	unlink(path);
	return fd;
}

static void open_small(void)
{
	MUST(process_init() == 0);
	MUST(ring_open(new_file(), SMALL, NULL, false) == 0);
}

/* What a record tells of the event that it was made of. */
struct seen {
	uint64_t at, seq;
	int32_t pid;
};

/* The whole records of the file, in the order of their places. */
static size_t read_all(struct seen *ret, size_t most)
{
	static char file[LARGE] __attribute__((aligned(16)));
	const ssize_t len = pread(reader, file, sizeof(file), 0);
	size_t n = 0;

	for (ssize_t at = RING_DATA_AT; at + (ssize_t)sizeof(struct ring_record) <= len;) {
		struct ring_record head;
		struct event ev = {0};

		memcpy(&head, file + at, sizeof(head));
		if (head.magic != RECORD_MAGIC || at + head.size > len ||
		    ring_record_sum((const uint64_t *)(const void *)(file + at), head.size) !=
			    head.sum) {
			at += RECORD_ALIGN;
			continue;
		}
		MUST(head.size % RECORD_ALIGN == 0 && head.event_size <= sizeof(ev));
		memcpy(&ev, file + at + sizeof(head), head.event_size);
		MUST(n < most);
		ret[n++] = (struct seen){(uint64_t)at, ev.seq, ev.pid};
		at += head.size;
	}
	return n;
}

static struct seen seen[200000];

static bool is_there(uint64_t number)
{
	const size_t n = read_all(seen, COUNT_OF(seen));

	for (size_t i = 0; i < n; i++)
		if (seen[i].seq == number)
			return true;
	return false;
}

/* A head fits its file, and any other byte in it is another's. */
static void heads(void **state)
{
	(void)state;
	for (uint64_t size = RING_SIZE_LEAST; size <= RING_SIZE_MOST; size = size * 3 / 2 + 4097) {
		const struct ring_head head = ring_head_of(size);

		assert_true(head.size <= size && head.size > size - 4096);
		assert_true(head.chunks >= 1 && head.chunks <= RING_CHUNKS_MOST);
		assert_true(ring_chunk_at(&head, head.chunks) <= head.size);
		assert_true(head.size - ring_chunk_at(&head, head.chunks) < head.chunk_size);
		assert_true(head.chunk_size >= RECORD_MOST && head.chunk_size % 4096 == 0);
		assert_true(ring_head_is_ours(&head));
		for (size_t i = 0; i < sizeof(head); i++) {
			struct ring_head other = head;

			((unsigned char *)&other)[i] ^= 0x10;
			assert_false(ring_head_is_ours(&other));
		}
	}
	assert_false(ring_head_is_ours(&(struct ring_head){0}));
}

static void made_body(void *arg)
{
	struct stat stat;

	(void)arg;
	open_small();
	MUST(fstat(reader, &stat) == 0);
	MUST(stat.st_size == SMALL);
	MUST(stat.st_blocks * 512 >= SMALL); /* all of it is there, not a hole */
	MUST(append_listen(7));
	MUST(is_there(7));
	MUST(fstat(reader, &stat) == 0 && stat.st_size == SMALL);
}

static void made_with_its_blocks(void **state)
{
	(void)state;
	in_child(made_body, NULL);
}

/* What is no ring of ours is refused, and not a byte of it changes. */
static void foreign_body(void *arg)
{
	const struct ring_head other = ring_head_of(SMALL);
	static const char *const texts[] = {"x", "libreuse ring\n", "{\"v\":1}\n"};
	static const char zeros[4096];
	char before[4096] = {0}, after[4096] = {0};
	int pipes[2];

	(void)arg;
	for (size_t i = 0; i <= COUNT_OF(texts); i++) {
		const int fd = new_file();

		memset(before, 0, sizeof(before));
		memset(after, 0, sizeof(after));
		if (i < COUNT_OF(texts)) {
			strcpy(before, texts[i]);
		} else {
			memcpy(before, &other, sizeof(other));
			before[16]++; /* another version */
		}
		MUST(pwrite(reader, before, i < COUNT_OF(texts) ? strlen(before) : 4096, 0) > 0);
		MUST(ring_open(fd, SMALL, NULL, false) ==
		     (i == COUNT_OF(texts) ? -EPROTO : -EBADMSG));
		MUST(pread(reader, after, sizeof(after), 0) > 0);
		MUST(memcmp(before, after, sizeof(before)) == 0);
		MUST(fcntl(fd, F_GETFD) < 0); /* closed */
	}
	MUST(write(new_file(), zeros, sizeof(zeros)) == sizeof(zeros));
	MUST(ring_open(dup(reader), SMALL, NULL, false) == -EBADMSG);
	MUST(pipe(pipes) == 0);
	MUST(ring_open(pipes[1], SMALL, NULL, false) == -EBADMSG);
}

/* A process that holds the head as one does that makes the file, and gets no further. */
static pid_t hold_head(int fd)
{
	struct flock head = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = RING_TIMES_AT};
	int held[2];
	pid_t child;
	char byte;

	MUST(pipe(held) == 0);
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		MUST(fcntl(fd, F_SETLK, &head) == 0 && write(held[1], "", 1) == 1);
		for (;;)
			pause();
	}
	MUST(read(held[0], &byte, 1) == 1);
	return child;
}

/* Of two that find it empty one writes the head; it may be another build's. */
static void one_makes_it_body(void *arg)
{
	const int fd = new_file();
	struct stat stat;
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	child = hold_head(fd);
	MUST(ring_open(dup(fd), SMALL, NULL, false) == -EBUSY);
	MUST(fstat(fd, &stat) == 0 && stat.st_size == 0);
	MUST(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	MUST(ring_open(fd, SMALL, NULL, false) == 0);
	MUST(append_listen(1));
}

static void one_makes_it(void **state)
{
	(void)state;
	in_child(one_makes_it_body, NULL);
}

/* Nor does anybody believe a head while the file is made: it may be empty again. */
static void no_head_is_believed_body(void *arg)
{
	const int fd = new_file();
	const struct ring_head head = ring_head_of(SMALL);
	struct stat stat;
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	child = hold_head(fd);
	MUST(pwrite(fd, &head, sizeof(head), 0) == sizeof(head));
	MUST(ring_open(dup(fd), SMALL, NULL, false) == -EBUSY);
	MUST(fstat(fd, &stat) == 0 && stat.st_size == sizeof(head));
	MUST(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	MUST(ring_open(fd, SMALL, NULL, false) == 0);
	MUST(append_listen(1));
}

static void no_head_is_believed_before_its_file(void **state)
{
	(void)state;
	in_child(no_head_is_believed_body, NULL);
}

/*
 * A file that was found truncated is mended under the lock of its head, and not where another
 * build has made it its own since.
 */
static void mended_body(void *arg)
{
	struct ring_head head = ring_head_of(SMALL), now;
	pid_t child;

	(void)arg;
	open_small();
	MUST(append_listen(1));
	MUST(ftruncate(reader, 0) == 0);
	child = hold_head(reader);
	MUST(!append_listen(2));
	MUST(pread(reader, &now, sizeof(now), 0) == 0);
	MUST(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);

	head.layout++;
	head.sum =
		sum_words(SUM_BEGIN, (const uint64_t *)&head, offsetof(struct ring_head, sum) / 8);
	MUST(pwrite(reader, &head, sizeof(head), 0) == sizeof(head));
	MUST(!append_listen(3));
	MUST(pread(reader, &now, sizeof(now), 0) == sizeof(now));
	MUST(memcmp(&now, &head, sizeof(now)) == 0);
	MUST(ftruncate(reader, 0) == 0);
	MUST(append_listen(4) && is_there(4));
}

static void another_builds_is_not_mended(void **state)
{
	(void)state;
	in_child(mended_body, NULL);
}

static void foreign_is_left_alone(void **state)
{
	(void)state;
	in_child(foreign_body, NULL);
}

static void set_limit(rlim_t limit)
{
	struct rlimit now;

	MUST(getrlimit(RLIMIT_FSIZE, &now) == 0);
	now.rlim_cur = limit;
	MUST(setrlimit(RLIMIT_FSIZE, &now) == 0);
}

/* The default of SIGXFSZ would end the child. */
static void limit_body(void *arg)
{
	struct stat stat;
	int fd;

	(void)arg;
	MUST(process_init() == 0);
	fd = new_file();
	set_limit(SMALL - 1);
	MUST(ring_open(fd, SMALL, NULL, false) == -EFBIG);
	MUST(fstat(reader, &stat) == 0 && stat.st_size == 0);

	set_limit(RLIM_INFINITY);
	MUST(ring_open(new_file(), SMALL, NULL, false) == 0);
	MUST(append_listen(1));
	set_limit(100);
	MUST(!append_listen(2));
	MUST(ftruncate(reader, 0) == 0);
	MUST(!append_listen(3));
	set_limit(RLIM_INFINITY);
	MUST(append_listen(4));
	MUST(is_there(4) && !is_there(2));
}

static void no_signal_at_the_limit_of_file_size(void **state)
{
	(void)state;
	in_child(limit_body, NULL);
}

/*
 * Who has made the file and has no room for a ring in it removes it, but not when it has become
 * another process's; and that one knows when it came too late.
 */
static void unmade_body(void *arg)
{
	static const char path[] = "ring";
	char folder[] = "/tmp/reuse-ring-XXXXXX";
	int fd;

	(void)arg;
	MUST(process_init() == 0);
	MUST(mkdtemp(folder) && chdir(folder) == 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	reader = open(path, O_RDWR);
	set_limit(SMALL - 1);
	MUST(ring_open(fd, SMALL, path, true) == -EFBIG);
	MUST(access(path, F_OK) < 0);
	set_limit(RLIM_INFINITY);
	MUST(ring_open(reader, SMALL, path, false) == -ESTALE);

	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	reader = open(path, O_RDWR);
	MUST(ring_open(dup(reader), SMALL, path, false) == 0);
	MUST(close(fd) == 0);
	ring_unmake(path);
	MUST(access(path, F_OK) == 0);
	MUST(append_listen(1) && is_there(1));
	MUST(unlink(path) == 0 && rmdir(folder) == 0);
}

static void removes_what_is_nobodys(void **state)
{
	(void)state;
	in_child(unmade_body, NULL);
}

/* Numbers from first to last, of which the newest must be there, without a gap. */
static void must_hold_newest(uint64_t last, uint64_t least)
{
	const size_t n = read_all(seen, COUNT_OF(seen));
	uint64_t newest = 0;

	MUST(n >= least);
	for (uint64_t number = last; number > last - least; number--) {
		bool there = false;

		for (size_t i = 0; i < n && !there; i++)
			there = seen[i].seq == number;
		if (!there)
			fprintf(stderr, "%llu is not there\n", (unsigned long long)number);
		MUST(there);
		newest++;
	}
	MUST(newest == least);
}

static void newest_body(void *arg)
{
	enum { EVENTS = 5000, A_RECORD = 208 };

	(void)arg;
	open_small();
	for (uint64_t i = 1; i <= EVENTS; i++)
		MUST(append_listen(i));
	/* All but the chunk that is being overwritten. */
	must_hold_newest(EVENTS, (SMALL_CHUNKS - 1) * (4096 / A_RECORD));
}

static void keeps_the_newest(void **state)
{
	(void)state;
	in_child(newest_body, NULL);
}

/* After each kind of truncation the next event is there, in a ring. */
static void truncated_body(void *arg)
{
	const struct ring_head head = ring_head_of(SMALL);
	struct ring_head now;
	uint64_t number = 0;

	(void)arg;
	open_small();
	for (int i = 0; i < 40; i++) {
		MUST(append_listen(++number));
		MUST(ftruncate(reader, i % 4 == 0 ? 0 : i * 977) == 0);
		if (i % 4 == 1)
			MUST(pwrite(reader, "hello", 5, 0) == 5);
		MUST(append_listen(++number));
		MUST(is_there(number));
		MUST(pread(reader, &now, sizeof(now), 0) == sizeof(now));
		MUST(memcmp(&now, &head, sizeof(now)) == 0);
	}
	/* Truncated and long again before anybody looked: found out with the next chunk. */
	MUST(ftruncate(reader, 0) == 0 && ftruncate(reader, SMALL) == 0);
	for (int i = 0; i < 4096 / 208 + 1; i++)
		MUST(append_listen(++number));
	MUST(pread(reader, &now, sizeof(now), 0) == sizeof(now));
	MUST(memcmp(&now, &head, sizeof(now)) == 0);
	MUST(is_there(number));
}

static void survives_truncation(void **state)
{
	(void)state;
	in_child(truncated_body, NULL);
}

/* Each process has chunks of its own, and nothing of either is lost. */
static void two_body(void *arg)
{
	enum { EVENTS = 10000 };
	static int32_t owner[RING_CHUNKS_MOST];
	const struct ring_head head = ring_head_of(LARGE);
	const pid_t first = getpid();
	size_t n, of_first = 0, of_second = 0;
	pid_t child;
	int status;

	(void)arg;
	MUST(process_init() == 0);
	MUST(ring_open(new_file(), LARGE, NULL, false) == 0);
	MUST(append_listen(1));
	child = fork();
	MUST(child >= 0);
	for (uint64_t i = 2; i <= EVENTS; i++)
		MUST(append_listen(i));
	if (child == 0)
		_exit(0);
	MUST(waitpid(child, &status, 0) == child && status == 0);
	n = read_all(seen, COUNT_OF(seen));
	for (size_t i = 0; i < n; i++) {
		const size_t chunk = (size_t)((seen[i].at - RING_DATA_AT) / head.chunk_size);

		MUST(owner[chunk] == 0 || owner[chunk] == seen[i].pid);
		owner[chunk] = seen[i].pid;
		of_first += seen[i].pid == first;
		of_second += seen[i].pid == child;
	}
	MUST(of_first == EVENTS && of_second == EVENTS - 1);
}

static void processes_have_chunks_of_their_own(void **state)
{
	(void)state;
	in_child(two_body, NULL);
}

enum { THREADS = 4, A_THREAD = 4000 };

static void *thread_body(void *arg)
{
	const uint64_t first = (uint64_t)(uintptr_t)arg * A_THREAD;

	for (uint64_t i = 0; i < A_THREAD; i++)
		MUST(append_listen(first + i));
	return NULL;
}

static void handler(int signal)
{
	(void)signal;
	append_listen(UINT64_MAX);
}

/* Threads, and a handler that may meet any of them anywhere. */
static void threads_body(void *arg)
{
	const struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
	static bool there[THREADS * A_THREAD];
	pthread_t threads[THREADS];
	size_t n;

	(void)arg;
	MUST(process_init() == 0);
	MUST(ring_open(new_file(), LARGE, NULL, false) == 0);
	signal(SIGALRM, SIG_DFL);
	MUST(signal(SIGPROF, handler) != SIG_ERR);
	MUST(setitimer(ITIMER_PROF, &often, NULL) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, thread_body, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	MUST(setitimer(ITIMER_PROF, &never, NULL) == 0);
	n = read_all(seen, COUNT_OF(seen));
	for (size_t i = 0; i < n; i++) {
		if (seen[i].seq == UINT64_MAX)
			continue;
		MUST(seen[i].seq < COUNT_OF(there) && !there[seen[i].seq]);
		there[seen[i].seq] = true;
	}
	for (size_t i = 0; i < COUNT_OF(there); i++)
		MUST(there[i]);
}

static void threads_lose_nothing(void **state)
{
	(void)state;
	in_child(threads_body, NULL);
}

/* Would another process get a lock on the byte at that place? */
static bool is_locked(uint64_t at)
{
	int status = 0;
	const pid_t child = fork();

	if (child == 0) {
		struct flock range = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1};

		MUST(fcntl(reader, F_GETLK, &range) == 0);
		_exit(range.l_type != F_UNLCK);
	}
	MUST(child > 0 && waitpid(child, &status, 0) == child);
	return status != 0;
}

/* A descriptor's close ends the locks of the process; so the number is looked at. */
static void moved_body(void *arg)
{
	int old;
	size_t n;

	(void)arg;
	open_small();
	MUST(append_listen(1));
	MUST(is_locked(RING_DATA_AT));
	old = own_number(OWN_LOG);
	own_move_away(old);
	MUST(dup2(STDERR_FILENO, old) == old);
	MUST(own_number(OWN_LOG) != old);
	MUST(append_listen(2));
	n = read_all(seen, COUNT_OF(seen));
	MUST(n == 2);
	MUST(is_locked(seen[0].seq == 2 ? seen[0].at : seen[1].at));
}

static void moved_to_another_number(void **state)
{
	(void)state;
	in_child(moved_body, NULL);
}

/* A child that records one event, says so, and lives until it is killed. */
static pid_t start_holder(uint64_t number, bool *ret_recorded)
{
	int said[2];
	char result = 0;
	pid_t child;

	MUST(pipe(said) == 0);
	child = fork_for_a_while();
	if (child == 0) {
		result = append_listen(number) ? 'y' : 'n';
		MUST(write(said[1], &result, 1) == 1);
		for (;;)
			pause();
	}
	MUST(child > 0 && read(said[0], &result, 1) == 1);
	close(said[0]);
	close(said[1]);
	*ret_recorded = result == 'y';
	return child;
}

static void end_holder(pid_t child)
{
	kill(child, SIGKILL);
	MUST(waitpid(child, NULL, 0) == child);
}

/* As many processes as chunks; one more loses its events until another has gone. */
static void holders_body(void *arg)
{
	pid_t holders[SMALL_CHUNKS], late;
	bool recorded;

	(void)arg;
	open_small();
	for (uint64_t i = 0; i < SMALL_CHUNKS; i++) {
		holders[i] = start_holder(100 + i, &recorded);
		MUST(recorded);
	}
	MUST(!append_listen(200));
	end_holder(holders[3]);
	MUST(append_listen(201));
	late = start_holder(202, &recorded);
	MUST(!recorded);
	end_holder(late);
	for (uint64_t i = 0; i < SMALL_CHUNKS; i++) {
		if (i != 3)
			end_holder(holders[i]);
		MUST(is_there(100 + i)); /* killed, and what it had recorded is there */
	}
	MUST(is_there(201));
}

static void as_many_processes_as_chunks(void **state)
{
	(void)state;
	in_child(holders_body, NULL);
}

/* Processes that come one after another, each with little to tell: none takes a chunk alone. */
static void little_body(void *arg)
{
	enum { PROCESSES = 150, SHARED_BY = 4096 / 208 };
	bool recorded;

	(void)arg;
	open_small();
	for (uint64_t i = 1; i <= PROCESSES; i++) {
		end_holder(start_holder(i, &recorded));
		MUST(recorded);
	}
	MUST(read_all(seen, COUNT_OF(seen)) == PROCESSES);
	for (size_t i = 0; i < PROCESSES; i++)
		MUST((seen[i].at - RING_DATA_AT) / 4096 == i / SHARED_BY);
}

static void short_lives_share_a_chunk(void **state)
{
	(void)state;
	in_child(little_body, NULL);
}

/* A record is as long as what its event says, and no longer. */
static void records_end_early(void **state)
{
	uint64_t words[RECORD_SHORT / sizeof(uint64_t)];
	struct event ev = {.call = CALL_setsockopt, .has_args = true};
	const uint16_t shortest = record_of(&(struct event){0}, words, sizeof(words));

	(void)state;
	assert_int_equal(shortest, 208);
	ev.more.value.readable = true;
	ev.more.value.len = 4;
	assert_int_equal(record_of(&ev, words, sizeof(words)), 224);
	ev.more.value.len = 1000;
	assert_in_range(record_of(&ev, words, sizeof(words)), 225, RECORD_SHORT);
	ev.notes = NOTE_BIT(NOTE_LOST_EVENTS);
	ev.figures.lost = 3;
	assert_int_equal(record_of(&ev, words, sizeof(words)), RECORD_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(made_with_its_blocks),
		cmocka_unit_test(one_makes_it),
		cmocka_unit_test(no_head_is_believed_before_its_file),
		cmocka_unit_test(another_builds_is_not_mended),
		cmocka_unit_test(removes_what_is_nobodys),
		cmocka_unit_test(foreign_is_left_alone),
		cmocka_unit_test(no_signal_at_the_limit_of_file_size),
		cmocka_unit_test(keeps_the_newest),
		cmocka_unit_test(survives_truncation),
		cmocka_unit_test(processes_have_chunks_of_their_own),
		cmocka_unit_test(threads_lose_nothing),
		cmocka_unit_test(moved_to_another_number),
		cmocka_unit_test(as_many_processes_as_chunks),
		cmocka_unit_test(short_lives_share_a_chunk),
		cmocka_unit_test(records_end_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
