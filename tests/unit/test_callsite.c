/* SPDX-License-Identifier: MIT */
/*
 * test_callsite.c - facts/callsite: stacks and their numbers; facts/frames: places in
 * the code.
 */
#include "facts/callsite.h"

#include <pthread.h>
#include <stdlib.h>

#include "facts/frames.h"
#include "unit.h"

static void *room;

static int fresh_table(void **state)
{
	(void)state;
	free(room);
	room = calloc(1, callsites_size());
	callsites_init(room);
	return room ? 0 : -1;
}

static int no_table(void **state)
{
	(void)state;
	callsites_init(NULL);
	free(room);
	room = NULL;
	return 0;
}

static void assert_holds(uint32_t id, const uint64_t *frames, unsigned int n)
{
	uint64_t got[CALLSITE_FRAMES + 1], one;

	assert_int_equal(callsite_frames(id, got), n);
	assert_memory_equal(got, frames, n * sizeof(*frames));
	for (unsigned int i = 0; i < n; i++) {
		assert_true(callsite_frame(id, i, &one));
		assert_int_equal(one, frames[i]);
	}
	assert_false(callsite_frame(id, n, &one));
}

static void without_a_table_there_are_no_numbers(void **state)
{
	const uint64_t frames[] = {0x1000};
	uint64_t got[CALLSITE_FRAMES];

	(void)state;
	assert_int_equal(callsite_id(frames, 1), 0);
	assert_int_equal(callsite_frames(1, got), 0);
}

static void one_stack_has_one_number(void **state)
{
	const uint64_t frames[] = {0x1000, 0x2000, 0x3000};
	const uint32_t id = callsite_id(frames, 3);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_holds(id, frames, 3);
	assert_int_equal(callsite_id(frames, 3), id);
}

static void stacks_that_differ_have_different_numbers(void **state)
{
	const uint64_t a[] = {0x1000, 0x2000}, b[] = {0x2000, 0x1000}, c[] = {0x1000};
	const uint32_t of_a = callsite_id(a, 2), of_b = callsite_id(b, 2), of_c = callsite_id(c, 1);

	(void)state;
	assert_int_not_equal(of_a, of_b);
	assert_int_not_equal(of_a, of_c);
	assert_holds(of_a, a, 2);
	assert_holds(of_b, b, 2);
	assert_holds(of_c, c, 1);
}

static void no_frames_and_too_many(void **state)
{
	uint64_t frames[CALLSITE_FRAMES + 8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(frames); i++)
		frames[i] = 0x1000 + i;
	assert_int_equal(callsite_id(frames, 0), 0);
	assert_holds(callsite_id(frames, COUNT_OF(frames)), frames, CALLSITE_FRAMES);
}

static void numbers_never_given_stand_for_nothing(void **state)
{
	uint64_t got[CALLSITE_FRAMES];
	uint64_t random = 7;

	(void)state;
	assert_int_equal(callsite_frames(0, got), 0);
	assert_int_equal(callsite_frames(UINT32_MAX, got), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(callsite_frames((uint32_t)next_random(&random), got), 0);
}

/* The newest is always there; an old number means its own stack or none. */
static void a_full_table_takes_the_place_of_old_ones(void **state)
{
	enum { MANY = 20000 };
	static uint32_t ids[MANY];
	uint64_t got[CALLSITE_FRAMES];
	unsigned int kept = 0;

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		const uint64_t frames[] = {0x400000 + i * 16, i};

		ids[i] = callsite_id(frames, 2);
		assert_int_not_equal(ids[i], 0);
		assert_holds(ids[i], frames, 2);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		const unsigned int n = callsite_frames(ids[i], got);

		if (n == 0)
			continue;
		assert_int_equal(n, 2);
		assert_int_equal(got[0], 0x400000 + i * 16);
		assert_int_equal(got[1], i);
		kept++;
	}
	assert_in_range(kept, 3000, 4096);
}

static void *store_stacks(void *arg)
{
	uint64_t random = 1 + (uint64_t)(uintptr_t)arg, got[CALLSITE_FRAMES];

	for (int i = 0; i < 200000; i++) {
		const uint64_t one = next_random(&random) % 8192,
			       frames[] = {one, one + 1, one + 2};
		const uint32_t id = callsite_id(frames, 3);
		const unsigned int n = callsite_frames(id, got);

		MUST(n == 0 || (n == 3 && got[1] == got[0] + 1 && got[2] == got[0] + 2));
		MUST(n == 0 || got[0] == one);
	}
	return NULL;
}

static void threads_never_see_half_a_stack(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, store_stacks, (void *)i), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void a_place_is_found_when_it_was_entered(void **state)
{
	void *places = calloc(1, frames_size());
	struct frame *frame, *other;

	(void)state;
	assert_non_null(places);
	frames_init(places);
	assert_null(frames_find(0x4242));
	frame = frames_claim(0x4242);
	assert_non_null(frame);
	assert_null(frames_find(0x4242)); /* not yet */
	frames_enter(frame, 0x4242);
	assert_ptr_equal(frames_find(0x4242), frame);
	assert_ptr_equal(frames_at(frames_number(frame)), frame);
	assert_null(frames_at(frames_size()));

	/* Two threads that meet a place at once: either entry is as good. */
	other = frames_claim(0x4242);
	assert_ptr_not_equal(other, frame);
	frames_enter(other, 0x4242);
	assert_ptr_equal(frames_find(0x4242), frame);
	frames_strike_out(frame);
	assert_ptr_equal(frames_find(0x4242), other);
	frames_strike_out(other);
	assert_null(frames_find(0x4242));
	assert_ptr_equal(frames_at(frames_number(frame)), frame); /* what was stays */
	frames_init(NULL);
	assert_null(frames_at(0));
	free(places);
}

static void places_end_when_the_table_is_full(void **state)
{
	void *places = calloc(1, frames_size());
	const uint64_t most = frames_size() / sizeof(struct frame);
	uint64_t entered = 0;

	(void)state;
	assert_non_null(places);
	frames_init(places);
	for (uint64_t i = 0; i < 2 * most; i++) {
		struct frame *frame = frames_claim(0x400000 + i);

		if (!frame)
			continue;
		frames_enter(frame, 0x400000 + i);
		assert_ptr_equal(frames_find(0x400000 + i), frame);
		entered++;
	}
	assert_in_range(entered, most * 3 / 4, most);
	frames_init(NULL);
	free(places);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_table_there_are_no_numbers),
		cmocka_unit_test_setup(one_stack_has_one_number, fresh_table),
		cmocka_unit_test_setup(stacks_that_differ_have_different_numbers, fresh_table),
		cmocka_unit_test_setup(no_frames_and_too_many, fresh_table),
		cmocka_unit_test_setup(numbers_never_given_stand_for_nothing, fresh_table),
		cmocka_unit_test_setup(a_full_table_takes_the_place_of_old_ones, fresh_table),
		cmocka_unit_test_setup_teardown(threads_never_see_half_a_stack, fresh_table,
						no_table),
		cmocka_unit_test(a_place_is_found_when_it_was_entered),
		cmocka_unit_test(places_end_when_the_table_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
