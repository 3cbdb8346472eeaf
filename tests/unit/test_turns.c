/* SPDX-License-Identifier: MIT */
/*
 * test_turns.c - observe/turns: what is done once a second, and what for 5 ms of one.
 */
#include "observe/turns.h"

#include <pthread.h>
#include <time.h>

#include "sys/clock.h"
#include "unit.h"

/* An event whose call has returned then. */
static struct event at_ms(uint64_t ms)
{
	return (struct event){.began_ns = (ms - 1) * 1000000, .dur_ns = 1000000};
}

static bool take(_Atomic(uint64_t) *word, uint64_t ms, uint32_t *ret_known)
{
	const struct event ev = at_ms(ms);

	return turn_take(word, TURN_MS, &ev, ret_known);
}

static void once_a_second(void **state)
{
	/* The last milliseconds of 32 bits, and the first. */
	static const uint64_t begins[] = {1, 5000, UINT32_MAX - 500, UINT32_MAX, UINT32_MAX + 1ull};
	uint32_t known;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(begins); i++) {
		_Atomic(uint64_t) word = 0;

		assert_true(take(&word, begins[i], &known));
		known = 1;
		assert_false(take(&word, begins[i] + 1, &known));
		assert_int_equal(known, 0); /* nothing has come of it yet */
		turn_keep(&word, 0xfedcba98);
		assert_false(take(&word, begins[i] + 990, &known));
		assert_int_equal(known, 0xfedcba98);
		assert_true(take(&word, begins[i] + 1010, &known));
		assert_false(take(&word, begins[i] + 1011, &known));
		assert_int_equal(known, 0);
	}
}

/* A thread whose call has returned before that of the last turn has none either. */
static void late(void **state)
{
	_Atomic(uint64_t) word = 0;
	uint32_t known;

	(void)state;
	assert_true(take(&word, 5000, &known));
	assert_false(take(&word, 4990, &known));
}

/* After whatever pause. */
static void long_after(void **state)
{
	uint32_t known;

	(void)state;
	for (uint64_t pause = 2000; pause < UINT32_MAX - 2000; pause *= 2) {
		_Atomic(uint64_t) word = 0;

		assert_true(take(&word, 5000, &known));
		assert_true(take(&word, 5000 + pause, &known));
	}
}

enum { THREADS = 4, TIMES = 100000 };

static _Atomic(uint64_t) shared;

static void *race(void *arg)
{
	const struct event ev = at_ms(5000);
	uintptr_t turns = 0;
	uint32_t known;

	(void)arg;
	for (int i = 0; i < TIMES; i++)
		turns += turn_take(&shared, TURN_MS, &ev, &known);
	return (void *)turns;
}

static void one_of_several_threads(void **state)
{
	pthread_t threads[THREADS];
	uintptr_t turns = 0;
	void *mine;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &mine), 0);
		turns += (uintptr_t)mine;
	}
	assert_int_equal(turns, 1);
}

/* So much of a second is spent, and then no more; in the next one there is as much again. */
static void spending(void **state)
{
	enum { SECOND_NS = 1000000000, MOST_NS = 5000000 };
	_Atomic(uint64_t) spent = 0;
	uint64_t first, begun, now;

	(void)state;
	do { /* all within one second */
		spent = 0;
		first = begun = spending_begin(&spent);
		assert_int_not_equal(begun, 0);
		spending_end(&spent, begun); /* nearly nothing */
		assert_int_not_equal(spending_begin(&spent), 0);
		while (clock_ns(CLOCK_MONOTONIC) < begun + MOST_NS + 1000000)
			;
		spending_end(&spent, begun);
		begun = spending_begin(&spent);
		now = clock_ns(CLOCK_MONOTONIC);
	} while (now / SECOND_NS != first / SECOND_NS);
	assert_int_equal(begun, 0);
	while (clock_ns(CLOCK_MONOTONIC) / SECOND_NS == now / SECOND_NS)
		;
	assert_int_not_equal(spending_begin(&spent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_a_second), cmocka_unit_test(late),
		cmocka_unit_test(long_after),	 cmocka_unit_test(one_of_several_threads),
		cmocka_unit_test(spending),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
