/* SPDX-License-Identifier: MIT */
/*
 * unit.h - what the unit tests share: cmocka, forked children, an end of memory.
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the headers above, which it needs. */
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/*
 * For children and threads, where a failed assertion of cmocka's would jump into
 * the parent's list of tests: say what is wrong and end the process.
 */
#define MUST(condition) ((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))

static inline void must_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	_exit(1);
}

enum { CHILD_SECONDS = 120 }; /* a busy machine is slow */

/*
 * A child that ends in time, whatever happens. What kills it must kill it: cmocka's handlers
 * would go on with the parent's list of tests.
 */
static inline pid_t fork_for_a_while(void)
{
	static const int deadly[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
	const pid_t child = fork();

	if (child != 0)
		return child;
	for (size_t i = 0; i < COUNT_OF(deadly); i++)
		signal(deadly[i], SIG_DFL);
	alarm(CHILD_SECONDS);
	return child;
}

/* Run the body in a forked child, which must come to its end in time. */
static inline void in_child(void (*body)(void *arg), void *arg)
{
	int status = -1;
	const pid_t child = fork_for_a_while();

	if (child == 0) {
		body(arg);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The end of size readable bytes: the byte there, and those after it, are not mapped. */
static inline char *memory_end(size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t len = (size + page - 1) / page * page;
	char *room =
		mmap(NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(room != MAP_FAILED);
	assert_int_equal(munmap(room + len, page), 0);
	return room + len;
}

/* Numbers that look random and are the same in each run (xorshift64*). */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

#endif
