/* SPDX-License-Identifier: MIT */
/*
 * test_fdtable.c - observe/fdtable: notes on descriptors. Whether a note is about
 * the socket that the number has now is the reader's business, not the table's.
 */
#include "observe/fdtable.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "unit.h"

enum { NUMBERS = 1 << 20 }; /* the kernel's fs.nr_open, which the table covers */
enum { PIECE_SLOTS = 512 };

/* A note whose parts follow from its cookie: a mixture of two is seen. */
static struct fd_note note_of(uint64_t cookie)
{
	struct fd_note note = {.cookie = cookie};
	uint64_t seed = cookie * 2 + 1;

	for (size_t i = 0; i < sizeof(note.local.addr); i++) {
		note.local.addr[i] = (uint8_t)next_random(&seed);
		note.peer.addr[i] = (uint8_t)next_random(&seed);
	}
	note.local.family = (uint16_t)next_random(&seed);
	note.local.port = (uint16_t)next_random(&seed);
	note.local.scope = (uint32_t)next_random(&seed);
	note.peer.family = (uint16_t)next_random(&seed);
	note.peer.port = (uint16_t)next_random(&seed);
	note.peer.scope = (uint32_t)next_random(&seed);
	note.state = (uint8_t)next_random(&seed);
	return note;
}

static bool is_note_of(const struct fd_note *note, uint64_t cookie)
{
	const struct fd_note expected = note_of(cookie);

	return note->cookie == cookie && note->state == expected.state &&
	       memcmp(&note->local, &expected.local, sizeof(note->local)) == 0 &&
	       memcmp(&note->peer, &expected.peer, sizeof(note->peer)) == 0;
}

static bool is_whole(const struct fd_note *note)
{
	return is_note_of(note, note->cookie);
}

static struct fd_note about(int fd, uint64_t cookie)
{
	struct fd_note note;

	memset(&note, 0xff, sizeof(note));
	fdtable_about(fd, cookie, &note);
	return note;
}

static void set(int fd, uint64_t cookie)
{
	const struct fd_note note = note_of(cookie);

	fdtable_set(fd, &note);
}

static void assert_noted(int fd, uint64_t cookie)
{
	const struct fd_note note = fdtable_get(fd);

	assert_true(is_note_of(&note, cookie));
}

static void assert_none(int fd)
{
	static const struct fd_note none;
	const struct fd_note note = fdtable_get(fd);

	assert_memory_equal(&note, &none, sizeof(note));
}

/* Leave no note on the number. */
static void forget(int fd)
{
	static const struct fd_note none;

	if (fdtable_get(fd).cookie)
		fdtable_set(fd, &none);
}

/* A number that was never used has no note. */
static void empty(void **state)
{
	(void)state;
	for (int fd = 0; fd < 5000; fd++) {
		assert_none(fd);
		forget(fd);
		assert_none(fd);
	}
	assert_int_equal(fdtable_next(0), -1);
}

/* How much this process has mapped, in bytes; asked so that the question maps nothing. */
static size_t mapped(void)
{
	const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char line[128];
	const ssize_t len = read(fd, line, sizeof(line) - 1);

	MUST(len > 0);
	line[len] = '\0';
	close(fd);
	return (size_t)atol(line) * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_body(void *arg)
{
	const size_t a_number = sizeof(struct fd_note) + sizeof(uint64_t), before = mapped();

	(void)arg;
	set(NUMBERS - 1, 1);
	MUST(mapped() - before == PIECE_SLOTS * a_number);
	for (int turn = 0; turn < 3; turn++) {
		for (int fd = 0; fd < NUMBERS; fd++)
			set(fd, (uint64_t)fd + 1);
		MUST(mapped() - before == NUMBERS * a_number);
		for (int fd = 0; fd < NUMBERS; fd++) {
			fdtable_close(fd, CALL_close, 42, 0, 99);
			forget(fd);
		}
		MUST(mapped() - before == NUMBERS * a_number);
	}
}

/*
 * A program that may open 1,048,576 files: its highest number alone costs one piece,
 * and all of them, however often they are used, 104 bytes each. In a child, whose
 * table is still empty.
 */
static void memory(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it maps memory of its own meanwhile */
#endif
	in_child(memory_body, NULL);
}

/* What is set is read, again and again, until it is set anew or forgotten. */
static void set_get_forget(void **state)
{
	(void)state;
	for (int fd = 0; fd < 2000; fd += 7) {
		set(fd, (uint64_t)fd + 1);
		assert_noted(fd, (uint64_t)fd + 1);
		assert_noted(fd, (uint64_t)fd + 1);
	}
	for (int fd = 0; fd < 2000; fd++) {
		if (fd % 7)
			assert_none(fd);
		else
			assert_noted(fd, (uint64_t)fd + 1);
	}
	set(14, UINT64_MAX);
	assert_noted(14, UINT64_MAX);
	for (int fd = 0; fd < 2000; fd++) {
		forget(fd);
		assert_none(fd);
		forget(fd);
	}
}

/* Numbers that no descriptor has: never a note, never harm. */
static void no_descriptors(void **state)
{
	static const int numbers[] = {-1,      -2,	    -512,    INT_MIN,
				      NUMBERS, NUMBERS + 1, 1 << 30, INT_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		set(numbers[i], 5);
		assert_none(numbers[i]);
		forget(numbers[i]);
		assert_int_equal(fdtable_next(numbers[i]), -1);
	}
}

/* The greatest number that the kernel gives by default is covered. */
static void greatest_number(void **state)
{
	(void)state;
	set(NUMBERS - 1, 77);
	assert_noted(NUMBERS - 1, 77);
	assert_none(NUMBERS - 2);
	assert_int_equal(fdtable_next(0), NUMBERS - 1);
	assert_int_equal(fdtable_next(NUMBERS - 1), NUMBERS - 1);
	assert_int_equal(fdtable_next(NUMBERS), -1);
	forget(NUMBERS - 1);
	assert_none(NUMBERS - 1);
	assert_int_equal(fdtable_next(0), -1);
}

/* fdtable_next goes over all numbers with a note, in order, wherever they are. */
static void next(void **state)
{
	static const int fds[] = {0,	1,    2,    63,	   511,	  512,	  513,
				  1023, 1024, 4096, 65535, 65536, 524287, 1048575};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		set(fds[i], i + 1);

	size_t found = 0;

	for (int fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1)) {
		assert_in_range(found, 0, COUNT_OF(fds) - 1);
		assert_int_equal(fd, fds[found++]);
	}
	assert_int_equal(found, COUNT_OF(fds));

	for (size_t i = 0; i + 1 < COUNT_OF(fds); i++) {
		assert_int_equal(fdtable_next(fds[i] + 1), fds[i + 1]);
		forget(fds[i]);
		assert_int_equal(fdtable_next(0), fds[i + 1]);
	}
	forget(fds[COUNT_OF(fds) - 1]);
	assert_int_equal(fdtable_next(0), -1);
}

/* A closed number keeps its note, which is about no open socket any more. */
static void closed(void **state)
{
	struct fd_note note;

	(void)state;
	fdtable_close(1234, CALL_close, 42, 0, 99);
	assert_none(1234); /* there is nothing to keep */

	note = note_of(77);
	note.made_ns = 50;
	fdtable_set(1234, &note);
	assert_int_equal(about(1234, 77).made_ns, 50);
	assert_int_equal(about(1234, 78).cookie, 0);
	assert_int_equal(about(1234, 0).cookie, 0);
	assert_int_equal(about(1235, 77).cookie, 0);
	assert_int_equal(about(1235, 0).cookie, 0);
	assert_int_equal(about(-1, 77).cookie, 0);

	fdtable_close(1234, CALL_dup2, 42, 0, 99);
	note = fdtable_get(1234);
	assert_int_equal(note.cookie, 77);
	assert_int_equal(note.made_ns, 50);
	assert_int_equal(note.closed_ns, 99);
	assert_int_equal(note.closed_by, 42);
	assert_int_equal(note.closed_call, CALL_dup2);
	assert_int_equal(about(1234, 77).cookie, 0);
	assert_int_equal(fdtable_next(0), -1);

	/* The close failed: it is the open socket's note again. */
	fdtable_reopen(1234);
	assert_int_equal(about(1234, 77).made_ns, 50);
	assert_int_equal(fdtable_get(1234).closed_ns, 0);
	assert_int_equal(fdtable_next(0), 1234);
	fdtable_reopen(1235);
	assert_none(1235);
	fdtable_reopen(-1);

	forget(1234);
	assert_none(1234);
}

/* An attempt to connect is noted with the socket, and is over with its end or its number. */
static void connects(void **state)
{
	(void)state;
	fdtable_connect(1234, 77, 5);
	assert_none(1234);
	set(1234, 77);
	assert_int_equal(fdtable_connects(1234), 0);
	fdtable_connect(1234, 78, 5);
	assert_int_equal(fdtable_connects(1234), 0);
	fdtable_connect(1234, 77, 5);
	assert_int_equal(fdtable_connects(1234), 77);
	assert_int_equal(about(1234, 77).connect_ms, 5);
	assert_noted(1234, 77);
	fdtable_connect(1234, 77, 0);
	assert_int_equal(fdtable_connects(1234), 0);

	/* Its end is told for all numbers of the socket, and for no other's. */
	fdtable_connect(1234, 77, 5);
	fdtable_copy(1234, 1235);
	fdtable_copy(1235, 1236);
	fdtable_close(1235, CALL_close, 42, 0, 99);
	fdtable_connect(1236, 77, 0);
	assert_int_equal(fdtable_connects(1234), 0);
	assert_int_equal(fdtable_connects(1236), 0);
	assert_int_equal(fdtable_get(1235).closed_by, 42);
	fdtable_connect(1236, 77, 5);
	set(1234, 78);
	fdtable_connect(1234, 78, 6);
	fdtable_connect(1236, 77, 0);
	assert_int_equal(fdtable_connects(1234), 78);
	forget(1235);
	forget(1236);
	set(1234, 77);

	fdtable_connect(1234, 77, 5);
	fdtable_close(1234, CALL_close, 42, 0, 99);
	assert_int_equal(fdtable_connects(1234), 0);
	fdtable_reopen(1234);
	assert_int_equal(fdtable_connects(1234), 0);
	forget(1234);
}

enum { WORKERS = 4, ROUNDS = 200000, SHARED = 3, FIRST_OWN = 100, APART = 600 };

static _Atomic(int) mixed, lost;

struct worker {
	pthread_t thread;
	int number;
};

/*
 * Numbers that all use, and one that only this worker uses, whose note must
 * therefore always be the last one.
 */
static void *work(void *arg)
{
	const struct worker *worker = arg;
	const int own = FIRST_OWN + worker->number * APART;
	uint64_t seed = (uint64_t)worker->number + 1;

	for (int round = 0; round < ROUNDS; round++) {
		const uint64_t bits = next_random(&seed);
		const int shared = (int)(bits % SHARED);
		struct fd_note note;

		switch (bits >> 8 & 3) {
		case 0:
		case 1:
			set(shared, bits >> 16 | 1);
			break;
		case 2:
			forget(shared);
			break;
		}
		note = fdtable_get((int)(bits >> 10 & 3) % SHARED);
		if (note.cookie && !is_whole(&note))
			atomic_fetch_add(&mixed, 1);

		set(own, bits | 1);
		note = fdtable_get(own);
		if (!is_note_of(&note, bits | 1))
			atomic_fetch_add(&lost, 1);
		if (round % 3 == 0) {
			forget(own);
			if (fdtable_get(own).cookie)
				atomic_fetch_add(&lost, 1);
		}
	}
	return NULL;
}

static void run_workers(struct worker *workers)
{
	for (int i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void join_workers(struct worker *workers)
{
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

/*
 * Four threads write, forget and read the same numbers: a reader sees a whole note
 * or none. And numbers of their own: there each always sees what it wrote last.
 */
static void threads(void **state)
{
	struct worker workers[WORKERS];

	(void)state;
	run_workers(workers);
	join_workers(workers);
	assert_int_equal(atomic_load(&mixed), 0);
	assert_int_equal(atomic_load(&lost), 0);
}

/* After threads have met at a number, it still takes and gives up notes. */
static void still_works(void **state)
{
	(void)state;
	for (int fd = 0; fd < SHARED; fd++) {
		set(fd, 9);
		assert_noted(fd, 9);
		forget(fd);
		assert_none(fd);
	}
}

static _Atomic(bool) stop;

static void *write_on(void *arg)
{
	(void)arg;
	for (uint64_t cookie = 1; !atomic_load_explicit(&stop, memory_order_relaxed); cookie++)
		set((int)(cookie % SHARED), cookie);
	return NULL;
}

static void child_body(void *arg)
{
	(void)arg;
	for (int fd = 0; fd < SHARED; fd++) {
		struct fd_note note = fdtable_get(fd);

		MUST(!note.cookie || is_whole(&note));
		set(fd, 12345);
		note = fdtable_get(fd);
		MUST(is_note_of(&note, 12345));
		forget(fd);
		MUST(fdtable_get(fd).cookie == 0);
	}
}

/*
 * A child may be forked while another thread of its parent is in the middle of a
 * note, which nobody will then finish: in the child the number works all the same.
 */
static void fork_amid_writes(void **state)
{
	pthread_t thread;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, write_on, NULL), 0);
	for (int i = 0; i < 300; i++) {
		const pid_t child = fork_for_a_while();
		int status = -1;

		if (child == 0) {
			child_body(NULL);
			_exit(0);
		}
		waitpid(child, &status, 0);
		if (status) {
			atomic_store(&stop, true);
			pthread_join(thread, NULL);
			fail_msg("the number is dead in child %d", i);
		}
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

static int other_of(int fd)
{
	const struct fd_note note = fdtable_get(fd);

	return fdtable_other(fd, &note);
}

static void close_note(int fd)
{
	fdtable_close(fd, CALL_close, 42, 0, 99);
}

/* Of numbers of one socket each finds another, as long as there is one that is open. */
static void copies(void **state)
{
	static const int numbers[] = {40, 3, 700, 0};
	unsigned int open = COUNT_OF(numbers);

	(void)state;
	set(numbers[0], 5);
	assert_int_equal(other_of(numbers[0]), -1);
	fdtable_copy(numbers[0], numbers[0]); /* dup2 onto itself */
	assert_int_equal(other_of(numbers[0]), -1);
	for (size_t i = 1; i < COUNT_OF(numbers); i++)
		fdtable_copy(numbers[i - 1], numbers[i]);
	for (size_t i = 0; i < COUNT_OF(numbers); i++, open--) {
		for (size_t k = 0; k < COUNT_OF(numbers); k++) {
			const int other = other_of(numbers[k]);

			assert_noted(numbers[k], 5);
			if (open == 0 || (open == 1 && k >= i)) {
				assert_int_equal(other, -1);
				continue;
			}
			assert_int_not_equal(other, numbers[k]);
			assert_int_equal(fdtable_get(other).cookie, 5);
			assert_int_equal(fdtable_get(other).closed_ns, 0);
		}
		close_note(numbers[i]);
	}
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		forget(numbers[i]);
}

/* What a number has become since is no copy, and leads to none for ever. */
static void copies_broken(void **state)
{
	(void)state;
	set(10, 5);
	fdtable_copy(10, 11);
	fdtable_copy(11, 12);
	close_note(12);
	set(12, 6);
	assert_int_equal(other_of(12), -1);
	assert_in_range(other_of(11) + 1, 0, 11);
	fdtable_copy(12, 10);
	assert_int_equal(other_of(11), -1);
	assert_int_equal(other_of(12), 10);
	assert_int_equal(other_of(10), 12);

	/* A copy of what has no note. */
	fdtable_copy(20, 10);
	assert_none(20);
	assert_int_equal(other_of(20), -1);
	for (int fd = 10; fd < 13; fd++)
		forget(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(memory),
		cmocka_unit_test(set_get_forget),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(greatest_number),
		cmocka_unit_test(next),
		cmocka_unit_test(closed),
		cmocka_unit_test(connects),
		cmocka_unit_test(threads),
		cmocka_unit_test(still_works),
		cmocka_unit_test(fork_amid_writes),
		cmocka_unit_test(copies),
		cmocka_unit_test(copies_broken),
	};

	return cmocka_run_group_tests_name("fdtable", tests, NULL, NULL);
}
