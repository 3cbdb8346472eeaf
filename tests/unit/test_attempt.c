/* SPDX-License-Identifier: MIT */
/*
 * test_attempt.c - observe/attempt: is the attempt that was noted of a number under way still? What
 * comes of it is told in tests/e2e/test_wire.py.
 */
#include "observe/attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/fdtable.h"
#include "unit.h"

enum { BEGUN_MS = 5 };

/* A socket that has been refused, and not told so. */
static int refused(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int nobody = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	assert_true(fd >= 0 && nobody >= 0);
	assert_int_equal(bind(nobody, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(nobody, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	close(nobody);
	return fd;
}

static void note(int fd, uint64_t cookie)
{
	const struct fd_note note = {.cookie = cookie, .connect_ms = BEGUN_MS};

	fdtable_set(fd, &note);
}

static void assert_under_way(int fd, bool under_way, bool had_port)
{
	struct attempt attempt;

	attempt_before(sock_here(fd), &attempt);
	assert_int_equal(attempt.under_way, under_way);
	assert_int_equal(attempt.had_port, had_port);
}

static void of_this_socket(void **state)
{
	const int fd = refused();

	(void)state;
	assert_under_way(fd, false, true);
	note(fd, sock_cookie(fd));
	assert_under_way(fd, true, true);
	close(fd);
	assert_under_way(fd, false, false);
}

/* The number was given again, by calls that nobody saw. */
static void of_another_socket(void **state)
{
	const int fd = refused();

	(void)state;
	note(fd, sock_cookie(fd) + 1);
	assert_under_way(fd, false, true);
	close(fd);
}

/* An end that nobody saw: the socket is as new. */
static void ended_unseen(void **state)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	const int fd = refused();

	(void)state;
	note(fd, sock_cookie(fd));
	assert_int_equal(connect(fd, &nowhere, sizeof(nowhere)), 0);
	assert_under_way(fd, false, true); /* as getsockname tells */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_this_socket),
		cmocka_unit_test(of_another_socket),
		cmocka_unit_test(ended_unseen),
	};

	return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
