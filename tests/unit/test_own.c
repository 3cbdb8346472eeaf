/* SPDX-License-Identifier: MIT */
/*
 * test_own.c - sys/own: the shim's own descriptors. Each test in a child of its own,
 * as the module remembers what it has.
 */
#include "sys/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "unit.h"

/* Something to adopt: the reading end of a pipe that is told by its device and inode. */
struct thing {
	int fd;
	struct stat stat;
};

static struct thing new_thing(void)
{
	struct thing thing;
	int ends[2];

	MUST(pipe(ends) == 0);
	close(ends[1]);
	thing.fd = ends[0];
	MUST(fstat(thing.fd, &thing.stat) == 0);
	return thing;
}

static bool is_thing(int fd, const struct thing *thing)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && stat.st_ino == thing->stat.st_ino &&
	       stat.st_dev == thing->stat.st_dev;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* hard: the limit can't be raised again. */
static void limit_numbers(rlim_t soft, bool hard)
{
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = soft;
	if (hard)
		limit.rlim_max = soft;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static rlim_t soft_limit(void)
{
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	return limit.rlim_cur;
}

static void nothing_at_first_body(void *arg)
{
	(void)arg;
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		MUST(own_number(slot) == -1);
	for (int fd = -1; fd < 5000; fd++)
		MUST(!own_is(fd));
	MUST(!own_is(INT_MAX));
	MUST(!own_is(INT_MIN));
}

/* Before anything is adopted no number is ours, -1 neither. */
static void nothing_at_first(void **state)
{
	(void)state;
	in_child(nothing_at_first_body, NULL);
}

static void adopt_body(void *arg)
{
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++) {
		const struct thing thing = new_thing();
		const int high = own_adopt(slot, thing.fd);

		(void)arg;
		MUST(high > 100);
		MUST(!is_open(thing.fd));
		MUST(is_thing(high, &thing));
		MUST(fcntl(high, F_GETFD) & FD_CLOEXEC);
		MUST(own_number(slot) == high);
		MUST(own_is(high));
		MUST(own_lowest <= high);
		MUST(!own_is(thing.fd));
	}
	/* All at once are ours, and none of their neighbours. */
	for (int fd = -1; fd < 6000; fd++) {
		bool slotted = false;

		for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
			slotted |= fd >= 0 && own_number(slot) == fd;
		MUST(own_is(fd) == slotted);
	}
}

/* What is adopted is high, close-on-exec, the same file, and its old number is free. */
static void adopt(void **state)
{
	(void)state;
	in_child(adopt_body, NULL);
}

static void under_hard_limit_body(void *arg)
{
	const rlim_t limit = *(rlim_t *)arg;
	const struct thing thing = new_thing();

	limit_numbers(limit, true);

	const int high = own_adopt(OWN_LOG, thing.fd);

	MUST(high >= 0 && (rlim_t)high < limit);
	MUST((rlim_t)high >= (limit > 4096 ? 4000 : limit / 2));
	MUST(own_is(high));
	MUST(is_thing(high, &thing));
	MUST(!is_open(thing.fd));
	MUST(soft_limit() == limit);
}

static void under_soft_limit_body(void *arg)
{
	const rlim_t limit = *(rlim_t *)arg;
	const struct thing thing = new_thing();

	limit_numbers(limit, false);
	own_load_begin();

	const int high = own_adopt(OWN_LOG, thing.fd);

	own_load_end();
	MUST(high >= 0 && high < 4096 + 32);
	MUST(limit > 4096 || (rlim_t)high >= (limit < 1024 ? 1024 : limit));
	MUST(own_is(high));
	MUST(is_thing(high, &thing));
	MUST(!is_open(thing.fd));
	MUST(soft_limit() == limit);
}

/* What lies below the first number that was ours was open; of the others nobody knows. */
static void open_at_load_body(void *arg)
{
	(void)arg;
	const struct thing theirs = new_thing(), ours = new_thing();

	MUST(!own_was_open_at_load(theirs.fd));
	own_load_begin();
	own_load_end();
	MUST(!own_was_open_at_load(theirs.fd));
	own_load_begin();
	MUST(own_adopt(OWN_LOG, ours.fd) >= 0);
	MUST(own_adopt(OWN_DIAG, new_thing().fd) >= 0);
	own_load_end();
	MUST(own_was_open_at_load(0));
	MUST(own_was_open_at_load(theirs.fd));
	MUST(!own_was_open_at_load(ours.fd));
	MUST(!own_was_open_at_load(-1));

	/* What is made ours later says nothing any more. */
	close(theirs.fd);
	MUST(own_adopt(OWN_DIAG + 1, new_thing().fd) >= 0);
	MUST(own_was_open_at_load(theirs.fd));
}

static void open_at_load(void **state)
{
	(void)state;
	in_child(open_at_load_body, NULL);
}

static void little_room_body(void *arg)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 200};

	(void)arg;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	own_load_begin();

	const int high = own_adopt(OWN_LOG, new_thing().fd);

	own_load_end();
	MUST(high >= 180 && high < 200);
	MUST(soft_limit() == 100);
}

static void after_load_body(void *arg)
{
	const rlim_t limit = *(rlim_t *)arg;

	limit_numbers(limit, false);

	const int high = own_adopt(OWN_LOG, new_thing().fd);

	MUST(high >= 0 && (rlim_t)high < limit);
	MUST((rlim_t)high >= (limit > 4096 ? 4000 : limit / 2));
	MUST(own_is(high));
	MUST(soft_limit() == limit);
}

/*
 * At load high is above what the program may use, and above 1024, where the limit
 * can be raised for a moment, or as far above it as the hard limit lets it be; else
 * and later just below the limit. The limit is as before; and never so high that
 * forks pay for it.
 */
static void adopt_under_limits(void **state)
{
	static rlim_t limits[] = {16, 20, 31, 32, 33, 64, 65, 256, 1024, 4095, 4096, 4097, 65536};
	struct rlimit hard;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &hard), 0);
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		if (limits[i] <= hard.rlim_max)
			in_child(under_hard_limit_body, &limits[i]);
		if (limits[i] + 1100 <= hard.rlim_max) {
			in_child(under_soft_limit_body, &limits[i]);
			in_child(after_load_body, &limits[i]);
		}
	}
	in_child(little_room_body, NULL);
}

static void never_too_high_body(void *arg)
{
	struct rlimit limit;

	(void)arg;
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit_numbers(limit.rlim_max, false);

	const int high = own_adopt(OWN_LOG, new_thing().fd);

	MUST(high >= 0 && high < 4096);
}

/* With a very high limit, or none, the number stays below 4096. */
static void never_too_high(void **state)
{
	(void)state;
	in_child(never_too_high_body, NULL);
}

static void no_room_body(void *arg)
{
	const struct thing first = new_thing();
	const int high = own_adopt(OWN_LOG, first.fd);
	struct thing second = new_thing();

	(void)arg;
	MUST(high >= 0);
	/* No number is left under this limit. */
	limit_numbers(32, true);
	while (fcntl(second.fd, F_DUPFD, 0) >= 0)
		;
	MUST(own_adopt(OWN_DIAG, second.fd) == -EMFILE);
	MUST(!is_open(second.fd));
	MUST(own_number(OWN_DIAG) == -1);
	MUST(own_number(OWN_LOG) == high);

	MUST(own_adopt(OWN_DIAG, -1) == -EBADF);
	MUST(own_number(OWN_DIAG) == -1);
}

/* Without room the number that was given is free all the same, and nothing is ours. */
static void no_room(void **state)
{
	(void)state;
	in_child(no_room_body, NULL);
}

static void replaced_body(void *arg)
{
	const struct thing ours = new_thing(), theirs = new_thing();
	const int high = own_adopt(OWN_LOG, ours.fd);

	(void)arg;
	MUST(own_checked(OWN_LOG) == high);
	MUST(dup2(theirs.fd, high) == high);
	MUST(!own_is(high));
	MUST(own_checked(OWN_LOG) == -1);
	MUST(own_number(OWN_LOG) == -1);
	MUST(is_thing(high, &theirs)); /* it is the program's, and not closed */
}

static void closed_body(void *arg)
{
	const int high = own_adopt(OWN_LOG, new_thing().fd);

	(void)arg;
	close(high);
	MUST(!own_is(high));
	MUST(own_checked(OWN_LOG) == -1);
	MUST(own_checked(OWN_LOG) == -1);
}

/* A number that has another file behind it, or none, is not ours any more. */
static void taken_behind_our_back(void **state)
{
	(void)state;
	in_child(replaced_body, NULL);
	in_child(closed_body, NULL);
}

static void replace_body(void *arg)
{
	const struct thing first = new_thing(), second = new_thing(), third = new_thing();
	const int high = own_adopt(OWN_LOG, first.fd);

	(void)arg;
	MUST(high > 2 && is_thing(high, &first)); /* nothing to replace yet */
	MUST(own_adopt(OWN_LOG, second.fd) == high);
	MUST(is_thing(high, &second));
	MUST(fcntl(high, F_GETFD) & FD_CLOEXEC);
	MUST(own_checked(OWN_LOG) == high);
	MUST(!is_open(second.fd));

	/* What the program has there by now is not replaced. */
	const struct thing theirs = new_thing();

	MUST(dup2(theirs.fd, high) == high);

	const int other = own_adopt(OWN_LOG, third.fd);

	MUST(other > 2 && other != high);
	MUST(is_thing(high, &theirs));
	MUST(is_thing(other, &third));
}

static void replace_without_room_body(void *arg)
{
	const int high = own_adopt(OWN_LOG, new_thing().fd), filler = new_thing().fd;
	const struct thing second = new_thing();

	(void)arg;
	limit_numbers(32, true);
	while (fcntl(filler, F_DUPFD, 0) >= 0)
		;
	MUST(own_adopt(OWN_LOG, second.fd) == -EMFILE);
	MUST(!is_open(second.fd));
	MUST(!is_open(high));
	MUST(own_number(OWN_LOG) == -1);
}

/* A slot's new file closes the old one, as long as that is ours. */
static void replace(void **state)
{
	(void)state;
	in_child(replace_body, NULL);
	in_child(replace_without_room_body, NULL);
}

static void move_away_body(void *arg)
{
	const struct thing ours = new_thing(), other = new_thing(), theirs = new_thing();
	const int high = own_adopt(OWN_LOG, ours.fd), beside = own_adopt(OWN_DIAG, other.fd);

	(void)arg;
	own_move_away(high);

	const int moved = own_number(OWN_LOG);

	MUST(moved >= 0 && moved != high);
	MUST(!own_is(high));
	MUST(own_is(moved));
	MUST(fcntl(moved, F_GETFD) & FD_CLOEXEC);
	MUST(is_thing(moved, &ours));
	MUST(own_number(OWN_DIAG) == beside);

	/* As the program does it: its dup2 takes the number, and ours lives on. */
	MUST(dup2(theirs.fd, high) == high);
	MUST(is_thing(high, &theirs));
	MUST(is_thing(moved, &ours));

	/* Again and again: it always goes somewhere else. */
	for (int i = 0; i < 50; i++) {
		const int now = own_number(OWN_LOG);

		own_move_away(now);
		MUST(own_number(OWN_LOG) != now);
		MUST(is_thing(own_number(OWN_LOG), &ours));
		MUST(dup2(theirs.fd, now) == now);
		close(now); /* below a low limit there are few */
	}
}

/* Moved away, ours goes on under another number, and only its own slot changes. */
static void move_away(void **state)
{
	(void)state;
	in_child(move_away_body, NULL);
}

static void move_beyond_body(void *arg)
{
	struct thing thing;
	int high;

	(void)arg;
	limit_numbers(100, false);
	thing = new_thing();
	own_load_begin();
	high = own_adopt(OWN_LOG, thing.fd);
	own_load_end();
	MUST(high >= 100);
	MUST(!own_move_away(high));
	MUST(own_number(OWN_LOG) == high);
	MUST(is_thing(high, &thing));
}

/* Beyond the limit no dup2 gets there: ours stays. */
static void move_beyond(void **state)
{
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 2000)
		skip();
	in_child(move_beyond_body, NULL);
}

static void move_nothing_body(void *arg)
{
	const int high = own_adopt(OWN_LOG, new_thing().fd);
	const struct thing theirs = new_thing();

	(void)arg;
	own_move_away(theirs.fd);
	own_move_away(high + 1);
	own_move_away(INT_MAX);
	MUST(own_number(OWN_LOG) == high);
	MUST(is_thing(theirs.fd, &theirs));
	for (unsigned int slot = OWN_LOG + 1; slot < OWN_COUNT; slot++)
		MUST(own_number(slot) == -1);
}

/* A number that is not ours is left alone. */
static void move_nothing(void **state)
{
	(void)state;
	in_child(move_nothing_body, NULL);
}

static void move_minus_one_body(void *arg)
{
	(void)arg;
	own_move_away(-1);
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		MUST(own_number(slot) == -1);
}

/* dup2 onto -1 fails by itself: empty slots stay empty. */
static void move_minus_one(void **state)
{
	(void)state;
	in_child(move_minus_one_body, NULL);
}

static void move_without_room_body(void *arg)
{
	const int filler = new_thing().fd;
	int high;

	(void)arg;
	limit_numbers(32, true);
	high = own_adopt(OWN_LOG, new_thing().fd);
	while (fcntl(filler, F_DUPFD, 0) >= 0)
		;
	MUST(own_move_away(high));
	MUST(!own_is(high));
	MUST(own_number(OWN_LOG) == -1);
}

/* Where there is no other number, ours is given up: the program's dup2 comes first. */
static void move_without_room(void **state)
{
	(void)state;
	in_child(move_without_room_body, NULL);
}

static void limit_lowered_body(void *arg)
{
	const int high = own_adopt(OWN_LOG, new_thing().fd);

	(void)arg;
	limit_numbers(64, true);

	const int lower = own_adopt(OWN_DIAG, new_thing().fd);

	MUST(lower >= 0 && lower < 64);
	MUST(own_is(high));
	MUST(own_is(lower));
}

/* A limit that the program lowers later hides none of ours, old or new. */
static void limit_lowered(void **state)
{
	(void)state;
	in_child(limit_lowered_body, NULL);
}

static void errno_body(void *arg)
{
	const int fd = new_thing().fd;

	(void)arg;
	errno = 1234;
	own_adopt(OWN_LOG, fd);
	own_adopt(OWN_DIAG, -1);
	own_move_away(own_number(OWN_LOG));
	MUST(errno == 1234);
}

/* errno is not touched, whether it works or fails. */
static void leaves_errno(void **state)
{
	(void)state;
	in_child(errno_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_at_load),
		cmocka_unit_test(nothing_at_first),
		cmocka_unit_test(adopt),
		cmocka_unit_test(adopt_under_limits),
		cmocka_unit_test(never_too_high),
		cmocka_unit_test(no_room),
		cmocka_unit_test(taken_behind_our_back),
		cmocka_unit_test(replace),
		cmocka_unit_test(move_away),
		cmocka_unit_test(move_beyond),
		cmocka_unit_test(move_nothing),
		cmocka_unit_test(move_minus_one),
		cmocka_unit_test(move_without_room),
		cmocka_unit_test(limit_lowered),
		cmocka_unit_test(leaves_errno),
	};

	return cmocka_run_group_tests_name("own", tests, NULL, NULL);
}
