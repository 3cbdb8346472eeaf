/* SPDX-License-Identifier: MIT */
/*
 * test_ring_file.c - facts/ring_file: what is a whole record. Records whose sum is right and
 * that still are none are made by hand.
 */
#include "facts/ring_file.h"

#include "log/record.h"
#include "unit.h"

enum { HEAD = sizeof(struct ring_record), LEAST = sizeof(uint64_t) };

struct made {
	uint64_t words[RECORD_MOST / sizeof(uint64_t)];
	uint16_t size;
};

static struct made a_record(void)
{
	const struct event ev = {.time_ns = 1, .seq = 2, .pid = 3, .call = CALL_close, .fd = 4};
	struct made made = {.size = 0};

	made.size = record_of(&ev, made.words, sizeof(made.words));
	return made;
}

/* A record of these sizes with a right sum. */
static struct made with_sizes(uint16_t size, uint16_t event_size)
{
	struct made made = {.size = size};
	struct ring_record head = {.magic = RECORD_MAGIC, .size = size, .event_size = event_size};

	memcpy(made.words, &head, sizeof(head));
	head.sum = ring_record_sum(made.words, size);
	memcpy(made.words, &head, sizeof(head));
	return made;
}

static size_t found(const struct made *made)
{
	return ring_record_here(made->words, made->size, LEAST);
}

static void a_whole_record_is_one(void **state)
{
	const struct made made = a_record(), least = with_sizes(HEAD + 16, LEAST);

	(void)state;
	assert_int_equal(found(&made), made.size);
	assert_int_equal(ring_record_here(made.words, sizeof(made.words), LEAST), made.size);
	assert_int_equal(found(&least), HEAD + 16);
}

/* Who reads in pieces must look again with the next piece. */
static void a_record_that_does_not_end_here_may_be_one(void **state)
{
	const struct made made = a_record();

	(void)state;
	for (size_t len = HEAD; len < made.size; len++)
		assert_int_equal(ring_record_here(made.words, len, LEAST), made.size);
}

static void a_changed_byte_makes_it_none(void **state)
{
	const struct made made = a_record();

	(void)state;
	for (size_t i = 0; i < made.size; i++) {
		struct made changed = made;
		size_t size;

		((unsigned char *)changed.words)[i] ^= 0x10;
		size = found(&changed);
		if (size && size <= made.size)
			fail_msg("byte %zu is of no account", i);
	}
}

static void sizes_that_cannot_be_are_none(void **state)
{
	static const struct {
		uint16_t size, event_size;
	} none[] = {
		{HEAD + 16, LEAST - 1}, /* no time */
		{HEAD + 16, 17},	/* the event is longer than the record */
		{HEAD + 24, LEAST},	/* no multiple of RECORD_ALIGN */
		{HEAD, LEAST},		{HEAD, UINT16_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		const struct made made = with_sizes(none[i].size, none[i].event_size);

		if (found(&made))
			fail_msg("record of %u, event of %u", none[i].size, none[i].event_size);
	}
}

static void a_record_is_not_larger_than_the_largest(void **state)
{
	const struct ring_record head = {
		.magic = RECORD_MAGIC, .size = RECORD_MOST + RECORD_ALIGN, .event_size = LEAST};
	uint64_t words[HEAD / sizeof(uint64_t)];

	(void)state;
	memcpy(words, &head, sizeof(head));
	assert_int_equal(ring_record_here(words, sizeof(words), LEAST), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_record_is_one),
		cmocka_unit_test(a_record_that_does_not_end_here_may_be_one),
		cmocka_unit_test(a_changed_byte_makes_it_none),
		cmocka_unit_test(sizes_that_cannot_be_are_none),
		cmocka_unit_test(a_record_is_not_larger_than_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
