/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - the pure parts of a gate: its options, which events are missing, open sockets,
 * suppressions.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate/findings.h"
#include "gate/gate_options.h"
#include "gate/held.h"
#include "gate/images.h"
#include "gate/suppressions.h"
#include "gate/tree.h"

static bool take(struct gate_options *ret, const char *list)
{
	char text[512];
	struct out wrong = out_into(text, sizeof(text));

	gate_options_begin(ret);
	return gate_options_take(ret, 0, list, &wrong);
}

static void test_lists(void **state)
{
	static const char *const bad[] = {"",
					  ",",
					  "all,",
					  "close",
					  "close-waits",
					  "close-wait:",
					  "close-wait:.5",
					  "reset:1",
					  "close-wait:1.",
					  "close-wait:1.2345",
					  "close-wait:-1",
					  "close-wait:86401",
					  "close-wait:999999",
					  "all:1",
					  " all"};
	struct gate_options options;

	(void)state;
	assert_true(take(&options, NULL));
	assert_int_equal(options.codes, 1U << GATE_CLOSE_WAIT | 1U << GATE_DOUBLE_CLOSE);
	assert_int_equal(options.close_wait_ms, 5000);
	assert_true(take(&options, "close-wait:0.25,reset"));
	assert_int_equal(options.codes, 1U << GATE_CLOSE_WAIT | 1U << GATE_RESET);
	assert_int_equal(options.close_wait_ms, 250);
	assert_true(take(&options, "all,close-wait:12.3"));
	assert_int_equal(options.codes, (1U << GATE_CODES) - 1);
	assert_int_equal(options.close_wait_ms, 12300);
	assert_true(take(&options, "close-wait:86400"));
	assert_int_equal(options.close_wait_ms, 86400000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(take(&options, bad[i]));
}

static void event(struct images *images, int32_t pid, uint64_t seq, uint64_t time_ns)
{
	struct event ev;

	memset(&ev, 0, sizeof(ev));
	ev.pid = pid;
	ev.seq = seq;
	ev.time_ns = time_ns;
	images_event(images, &ev);
}

static uint64_t missing(const struct images *images)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < images->count; i++)
		sum += image_missing(&images->all[i]);
	return sum;
}

/* In any order: only what never comes is missing. */
static void test_out_of_order(void **state)
{
	enum { MANY = 1000 };
	struct images images = {0};
	uint32_t random = 1;
	uint64_t all[MANY];

	(void)state;
	for (uint64_t i = 0; i < MANY; i++)
		all[i] = i + 1;
	for (size_t i = MANY - 1; i > 1; i--) {
		const size_t other = 1 + (random = random * 1103515245 + 12345) % i;
		const uint64_t seq = all[i];

		all[i] = all[other];
		all[other] = seq;
	}
	for (size_t i = 0; i < MANY; i++)
		if (all[i] != 500 && all[i] != 501)
			event(&images, 7, all[i], 1000 + all[i]);
	assert_int_equal(images.count, 1);
	assert_int_equal(missing(&images), 2);
	event(&images, 7, 500, 1500);
	assert_int_equal(missing(&images), 1);
	images_end(&images);
}

/* exec begins anew; what of the program before comes late is not the new one's. */
static void test_execs(void **state)
{
	struct images images = {0};

	(void)state;
	for (uint64_t seq = 1; seq <= 9; seq++)
		if (seq != 4)
			event(&images, 7, seq, 100 + seq);
	for (uint64_t seq = 1; seq <= 3; seq++)
		event(&images, 7, seq, 200 + seq);
	for (uint64_t seq = 1; seq <= 20; seq++)
		event(&images, 7, seq, 300 + seq);
	assert_int_equal(images.count, 3);
	assert_int_equal(missing(&images), 1);
	event(&images, 7, 4, 104);
	assert_int_equal(missing(&images), 0);
	event(&images, 7, 10, 110);
	event(&images, 7, 4, 204);
	assert_int_equal(images.count, 3);
	assert_int_equal(missing(&images), 0);
	event(&images, 7, 30, 400);
	assert_int_equal(missing(&images), 9);
	images_end(&images);
}

/* Of one that goes on: what may still come is not missing. */
static void test_settled(void **state)
{
	struct images images = {0};

	(void)state;
	event(&images, 7, 1, 101);
	event(&images, 7, 3, 103);
	event(&images, 7, 5, 105);
	images_settle(&images);
	event(&images, 7, 4, 104);
	event(&images, 7, 9, 109);
	assert_int_equal(images.all[0].seen.count, 3);
	assert_int_equal(image_missing(&images.all[0]), 1);
	images_end(&images);
}

static void test_many_processes(void **state)
{
	struct images images = {0};

	(void)state;
	for (int32_t round = 0; round < 3; round++)
		for (int32_t pid = 1; pid <= 5000; pid++)
			for (uint64_t seq = 1; seq <= 2; seq++)
				event(&images, pid, seq, (uint64_t)round * 100 + seq);
	assert_int_equal(images.count, 15000);
	assert_int_equal(missing(&images), 0);
	for (size_t i = 0; i < images.count; i++)
		assert_int_equal(images_is_newest(&images, &images.all[i]), i >= 10000);
	images_end(&images);
}

/* Against a plain list. */
static void test_held(void **state)
{
	enum { COOKIES = 3000, TURNS = 200000 };
	static bool there[COOKIES + 1];
	struct held held = {0};
	uint32_t random = 5;
	size_t count = 0;

	(void)state;
	for (int i = 0; i < TURNS; i++) {
		const uint32_t number = (random = random * 1664525 + 1013904223) >> 8;
		const uint64_t cookie = 1 + number % COOKIES;

		assert_int_equal(held_find(&held, cookie) != NULL, there[cookie]);
		if (number / COOKIES % 2) {
			assert_int_equal(held_add(&held, cookie)->cookie, cookie);
			count += !there[cookie];
			there[cookie] = true;
		} else {
			held_remove(&held, cookie);
			count -= there[cookie];
			there[cookie] = false;
		}
		assert_int_equal(held.count, count);
	}
	for (uint64_t cookie = 1; cookie <= COOKIES; cookie++)
		assert_int_equal(held_find(&held, cookie) != NULL, there[cookie]);
	held_end(&held);
}

static void nobody(void *with, int32_t pid)
{
	(void)with;
	(void)pid;
}

static void socket_of(struct findings *findings, uint64_t cookie, enum call_id call)
{
	struct event ev;

	memset(&ev, 0, sizeof(ev));
	ev.call = (uint8_t)call;
	ev.sock.cookie = cookie;
	ev.time_ns = 1;
	snprintf(ev.prog, sizeof(ev.prog), "%u", (unsigned int)cookie);
	findings_event(findings, &ev);
}

static void look_at(struct findings *findings, uint64_t cookie, uint32_t ms)
{
	const struct diag_sock sock = {.cookie = cookie, .silent_ms = ms};

	findings_close_wait(findings, &sock, UINT64_C(1) << 60);
}

/* Many that are closed in time leave the room to those that are not. */
static void test_close_waits(void **state)
{
	enum { IN_TIME = 100000, LOOKS = 3, ROOM = 4096 };
	const struct gate_options options = {.codes = 1U << GATE_CLOSE_WAIT, .close_wait_ms = 100};
	struct findings findings = {.options = &options, .on_found = nobody};

	(void)state;
	findings_begin(&findings);
	for (uint64_t cookie = 1; cookie <= IN_TIME; cookie++) {
		socket_of(&findings, cookie, CALL_socket);
		look_at(&findings, cookie, 99);
		socket_of(&findings, cookie, CALL_close);
	}
	assert_int_equal(findings.held.count, 0);
	assert_int_equal(findings.rows.count, 0);
	for (uint64_t cookie = 1; cookie <= ROOM + 2; cookie++) {
		socket_of(&findings, cookie, CALL_socket);
		for (uint32_t look = 0; look < LOOKS; look++)
			look_at(&findings, cookie, 100 + look);
	}
	assert_int_equal(findings.rows.count, ROOM);
	assert_int_equal(findings.rows.left_out, 2);
	for (size_t i = 0; i < ROOM; i++) {
		const struct finding *row = table_at(&findings.rows, i);

		assert_int_equal(row->count, 1);
		assert_int_equal(row->most_ms, 100 + LOOKS - 1);
	}
	findings_end(&findings);
}

enum { OURS = 7, THEIRS = 8 };

static void connected(struct findings *findings, uint64_t cookie, uint32_t netns, int protocol)
{
	struct event ev;

	memset(&ev, 0, sizeof(ev));
	ev.call = CALL_socket;
	ev.has_args = true;
	ev.args.socket.protocol = protocol;
	ev.sock.cookie = ev.time_ns = cookie;
	ev.sock.netns = netns;
	ev.sock.state = STATE_CLOSED;
	findings_event(findings, &ev);
	ev.call = CALL_connect;
	ev.has_args = false;
	ev.sock.netns = 0;
	ev.sock.state = STATE_ESTABLISHED;
	findings_event(findings, &ev);
}

static bool knows(const struct findings *findings, uint64_t cookie)
{
	return held_find(&findings->held, cookie) != NULL;
}

/* Connections that the kernel has not any more; those of which it would tell nothing stay. */
static void test_gone(void **state)
{
	enum { MANY = 10000, TOLD = 3, ELSEWHERE = MANY + 1, MPTCP, NOT_CONNECTED };
	const struct gate_options options = {.codes = 1U << GATE_CLOSE_WAIT, .close_wait_ms = 100};
	struct findings findings = {.options = &options, .our_netns = OURS, .on_found = nobody};

	(void)state;
	findings_begin(&findings);
	assert_false(findings_hold_many(&findings));
	for (uint64_t cookie = 1; cookie <= MANY; cookie++)
		connected(&findings, cookie, OURS, 0);
	connected(&findings, ELSEWHERE, THEIRS, 0);
	connected(&findings, MPTCP, OURS, IPPROTO_MPTCP);
	socket_of(&findings, NOT_CONNECTED, CALL_socket);
	for (int look = 0; look < 2; look++) {
		assert_true(findings_hold_many(&findings));
		assert_int_equal(findings.held.count, NOT_CONNECTED);
		for (uint64_t cookie = 2; cookie <= MANY; cookie += 2)
			findings_listed(&findings, cookie);
		findings_listed(&findings, NOT_CONNECTED + 1);
		if (look == 1) /* of one that is missing something was told meanwhile */
			connected(&findings, TOLD, 0, 0);
		findings_forget(&findings);
	}
	for (uint64_t cookie = 1; cookie <= MANY; cookie++)
		assert_int_equal(knows(&findings, cookie), cookie % 2 == 0 || cookie == TOLD);
	assert_true(knows(&findings, ELSEWHERE) && knows(&findings, MPTCP) &&
		    knows(&findings, NOT_CONNECTED));
	findings_forget(&findings);
	findings_forget(&findings);
	assert_int_equal(findings.held.count, 3);
	findings_end(&findings);
}

/* Of which the kernel would tell nothing: the elder are forgotten, as soon as they are too many. */
static void test_never_connected(void **state)
{
	enum { MOST = 1000 };
	struct held held = {0};

	(void)state;
	for (uint64_t cookie = 1; cookie <= MOST; cookie++)
		held_add(&held, cookie)->since_ns = cookie;
	held_forget(&held, MOST);
	assert_int_equal(held.count, MOST);
	held_add(&held, MOST + 1)->since_ns = MOST + 1;
	held_forget(&held, MOST);
	assert_int_equal(held.count, MOST / 2);
	assert_non_null(held_find(&held, MOST + 1));
	assert_null(held_find(&held, MOST / 2));
	held_end(&held);
}

/* A process that we may not look at is not said to be one of the tree. */
static void test_strangers(void **state)
{
	enum { NOBODY = 65534 };
	const struct tree tree = {.dev = 1};
	const struct tree_process first = {.pid = 1};
	const pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit((geteuid() == 0 && setuid(NOBODY) < 0) || tree_records(&tree, &first));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_suppressions(void **state)
{
	static const char *const places[] = {"src/a#1.c:40", "suite+0x12", "suite", NULL};
	static const char *const none[] = {NULL};
	char text[] = "# all\r\n\t\n double-close  su?te *a#1.c:4[0-9] # why\r\nreset * nowhere\n"
		      "r* * *";
	struct suppressions all = {0};

	(void)state;
	assert_true(suppressions_parse(&all, text));
	assert_int_equal(all.count, 3);
	assert_int_equal(all.all[0].line, 3);
	assert_int_equal(all.all[2].line, 5);
	assert_int_equal(suppressions_find(&all, "double-close", "suite", places), 1);
	assert_int_equal(suppressions_find(&all, "double-close", "suites", places), 0);
	assert_int_equal(suppressions_find(&all, "double-close", "suite", none), 0);
	assert_int_equal(suppressions_find(&all, "reset", "x", places), 3);
	assert_int_equal(suppressions_find(&all, "reset", "x", none), 3);
	suppressions_end(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_execs),		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_many_processes),	cmocka_unit_test(test_held),
		cmocka_unit_test(test_suppressions),	cmocka_unit_test(test_close_waits),
		cmocka_unit_test(test_strangers),	cmocka_unit_test(test_gone),
		cmocka_unit_test(test_never_connected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
