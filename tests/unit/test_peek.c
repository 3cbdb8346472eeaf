/* SPDX-License-Identifier: MIT */
/*
 * test_peek.c - sys_peek: reading through a pointer that may be anything.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sys/sys.h"
#include "unit.h"

enum { MOST = 4096 };

static size_t page;
/* Three pages: the first and the last can't be read at all, in this test's own way. */
static char *middle;

static int map_pages(void **state)
{
	char *pages;

	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return -1;
	middle = pages + page;
	for (size_t i = 0; i < 3 * page; i++)
		pages[i] = (char)(i % 251);
	return 0;
}

static void assert_peeks(const void *from, size_t len)
{
	static char got[MOST + 1];

	memset(got, 0x5a, sizeof(got));
	assert_int_equal(sys_peek(got, from, len), 0);
	assert_memory_equal(got, from, len);
	assert_int_equal(got[len], 0x5a);
	if (len >= sizeof(uint64_t)) {
		uint64_t word;

		assert_int_equal(sys_peek_word(&word, from), 0);
		assert_memory_equal(&word, from, sizeof(word));
	}
}

/* Refused, and nothing written. */
static void assert_faults(const void *from, size_t len)
{
	char got[64];
	uint64_t word = 77;

	memset(got, 0x5a, sizeof(got));
	assert_int_equal(sys_peek(got, from, len), -EFAULT);
	if (len > 0 && len <= sizeof(word)) {
		assert_int_equal(sys_peek_word(&word, from), -EFAULT);
		assert_int_equal(word, 77);
	}
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], 0x5a);
}

/* Addresses that no program has. */
static void wild_addresses(void **state)
{
	static const uintptr_t wild[] = {
		0,
		1,
		7,
		8,
		4095,
		UINTPTR_MAX,
		UINTPTR_MAX - 7,
		UINTPTR_MAX - 8,
		UINTPTR_MAX - 4096,
		UINTPTR_MAX / 2,
		UINTPTR_MAX / 2 + 1,
		UINTPTR_MAX << 12,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wild); i++) {
		assert_faults((const void *)wild[i], 1);
		assert_faults((const void *)wild[i], 16);
	}
	assert_faults((const void *)(UINTPTR_MAX - 15), 32); /* around the end of all memory */
}

/* No byte can always be read, from anywhere. */
static void no_bytes(void **state)
{
	char got = 0x5a;

	(void)state;
	assert_int_equal(sys_peek(&got, NULL, 0), 0);
	assert_int_equal(sys_peek(&got, &got, 0), 0);
	assert_int_equal(got, 0x5a);
}

/* A page at most: more is refused rather than looked at only at its ends. */
static void lengths(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 300; len++)
		assert_peeks(middle + len % 17, len);
	assert_peeks(middle, MOST);
	assert_peeks(middle + 100, MOST);
	assert_faults(middle, MOST + 1);
	assert_faults(middle, SIZE_MAX);
	assert_faults(middle, SIZE_MAX - 8);
}

/* Up to the last byte before, and from the first byte after, what can't be read. */
static void check_edges(void)
{
	for (size_t before = 1; before <= 64; before++)
		for (size_t len = 1; len <= 64; len++) {
			const char *end = middle + page;

			if (len <= before)
				assert_peeks(end - before, len);
			else
				assert_faults(end - before, len);
			assert_faults(middle - before, len);
			assert_faults(end + before - 1, len);
			assert_peeks(middle + before - 1, len);
		}
	assert_peeks(middle + page - MOST, MOST);
	assert_faults(middle + page - MOST + 1, MOST);
	assert_faults(middle - 1, MOST);
}

/* Neighbours that are mapped, but not readable. */
static void not_readable(void **state)
{
	(void)state;
	mprotect(middle - page, page, PROT_NONE);
	mprotect(middle + page, page, PROT_NONE);
	check_edges();
	mprotect(middle - page, 3 * page, PROT_READ | PROT_WRITE);
	assert_peeks(middle - 1, 64);
}

/* Neighbours that are not mapped at all. */
static void not_mapped(void **state)
{
	char *const pages = middle - page;

	(void)state;
	munmap(middle - page, page);
	munmap(middle + page, page);
	check_edges();
	assert_ptr_equal(
		mmap(pages, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		pages);
}

/* What lies across two pages that can be read, for each place of the border. */
static void across_pages(void **state)
{
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(pages != MAP_FAILED);
	for (size_t i = 0; i < 2 * page; i++)
		pages[i] = (char)(i % 253);
	for (size_t before = 1; before < 128; before++)
		assert_peeks(pages + page - before, 128);
	munmap(pages, 2 * page);
}

/* Read-only memory can be read: constants are passed to bind, too. */
static void read_only(void **state)
{
	static const char constant[] = "constant";

	(void)state;
	assert_peeks(constant, sizeof(constant));
	mprotect(middle, page, PROT_READ);
	assert_peeks(middle + 1, 100);
	mprotect(middle, page, PROT_READ | PROT_WRITE);
}

/* A mapping that goes beyond the end of its file: to touch it would raise SIGBUS. */
static void beyond_the_file(void **state)
{
	FILE *file = tmpfile();
	char *pages;

	(void)state;
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 10), 0);
	pages = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fileno(file), 0);
	assert_true(pages != MAP_FAILED);
	assert_peeks(pages, 16);
	assert_peeks(pages + page - 8, 8);
	assert_faults(pages + page, 1);
	assert_faults(pages + page - 8, 9);
	munmap(pages, 2 * page);
	fclose(file);
}

/* Neither errno nor the signal mask is changed, whatever the bytes mean as a mask. */
static void leaves_no_trace(void **state)
{
	sigset_t before, after;
	uint64_t all_signals = ~UINT64_C(0), got;

	(void)state;
	sigprocmask(SIG_BLOCK, NULL, &before);
	errno = 1234;
	assert_int_equal(sys_peek(&got, &all_signals, sizeof(got)), 0);
	assert_int_equal(sys_peek(&got, NULL, sizeof(got)), -EFAULT);
	assert_int_equal(errno, 1234);
	sigprocmask(SIG_BLOCK, NULL, &after);
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
}

/* Many reads of many pages, by turns: the same answers as one by one. */
static void again(void **state)
{
	struct sys_pages pages = {0};
	char *const after = middle + page, got[16], *const nowhere = (char *)16;

	(void)state;
	assert_int_equal(mprotect(after, page, PROT_NONE), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sys_peek_again(&pages, got, middle + i, sizeof(got)), 0);
		assert_memory_equal(got, middle + i, sizeof(got));
		assert_int_equal(sys_peek_again(&pages, got, middle - 8, sizeof(got)), 0);
		assert_memory_equal(got, middle - 8, sizeof(got));
		assert_int_equal(sys_peek_again(&pages, got, after - 8, sizeof(got)), -EFAULT);
		assert_int_equal(sys_peek_again(&pages, got, after, 1), -EFAULT);
		assert_int_equal(sys_peek_again(&pages, got, nowhere, 1), -EFAULT);
		assert_int_equal(sys_peek_again(&pages, got, (char *)UINTPTR_MAX, 8), -EFAULT);
		assert_int_equal(sys_peek_again(&pages, got, after, 0), 0);
	}
	assert_int_equal(mprotect(after, page, PROT_READ | PROT_WRITE), 0);
}

/* Words of many pages, by turns, also such as lie across two of them. */
static void words_again(void **state)
{
	struct sys_pages pages = {0};
	char *const after = middle + page, *const nowhere = (char *)16;
	uint64_t got, is;

	(void)state;
	assert_int_equal(mprotect(after, page, PROT_NONE), 0);
	for (int i = 0; i < 24; i++) {
		for (char *at = middle - 16 + i;; at = after - 8) {
			memcpy(&is, at, sizeof(is));
			assert_int_equal(sys_peek_word_again(&pages, &got, at), 0);
			assert_int_equal(got, is);
			if (at == after - 8)
				break;
		}
		assert_int_equal(sys_peek_word_again(&pages, &got, after), -EFAULT);
		assert_int_equal(sys_peek_word_again(&pages, &got, after - 4), -EFAULT);
		assert_int_equal(sys_peek_word_again(&pages, &got, nowhere), -EFAULT);
		assert_int_equal(sys_peek_word_again(&pages, &got, NULL), -EFAULT);
		assert_int_equal(sys_peek_word_again(&pages, &got, (void *)(UINTPTR_MAX - 7)),
				 -EFAULT);
	}
	assert_int_equal(mprotect(after, page, PROT_READ | PROT_WRITE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wild_addresses),  cmocka_unit_test(no_bytes),
		cmocka_unit_test(lengths),	   cmocka_unit_test(not_readable),
		cmocka_unit_test(across_pages),	   cmocka_unit_test(read_only),
		cmocka_unit_test(beyond_the_file), cmocka_unit_test(leaves_no_trace),
		cmocka_unit_test(again),	   cmocka_unit_test(words_again),
		cmocka_unit_test(not_mapped),
	};

	return cmocka_run_group_tests_name("peek", tests, map_pages, NULL);
}
