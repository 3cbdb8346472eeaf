/* SPDX-License-Identifier: MIT */
/*
 * test_lives.c - cli/report/lives: which states a socket has passed, and which two are one
 * connection's ends; and cli/table, that finds rows by their keys.
 */
#include "report/lives.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "table.h"
#include "unit.h"

enum { SECOND = 1000000000, OURS = 50000, THEIRS = 80 };

/* What was told of the last lives, by cookie. */
static struct told {
	uint64_t mate;
	bool ambiguous, over;
	struct path path;
	uint8_t end;
} told[4096];
static struct stay stays[STATE_COUNT];

static void on_end(void *with, struct life *life)
{
	struct told *at = &told[life->cookie];

	(void)with;
	assert_false(at->over);
	*at = (struct told){
		.mate = life->mate ? life->mate->cookie : 0,
		.ambiguous = life->ambiguous,
		.over = true,
		.path = life->path,
		.end = life->end,
	};
}

static void on_leave(void *with, struct life *life, uint8_t state, const struct stay *stay)
{
	(void)with;
	(void)life;
	stays[state] = *stay;
}

static struct lives begin(size_t most)
{
	struct lives lives = {.on_end = on_end, .on_leave = on_leave};

	memset(told, 0, sizeof(told));
	assert_true(lives_begin(&lives, most));
	return lives;
}

static struct endpoint at(uint16_t port)
{
	struct endpoint end = {.family = AF_INET, .port = port, .addr = {127, 0, 0, 1}};

	return end;
}

static struct event event(uint64_t ms, enum call_id call, uint64_t cookie, uint8_t state)
{
	return (struct event){
		.time_ns = SECOND + ms * 1000000,
		.call = (uint8_t)call,
		.prog = "server",
		.has_sock = true,
		.sock = {.cookie = cookie, .state = state},
	};
}

/* A connection's end from ... to ..., whose close leaves it in that state. */
static struct event made(uint64_t ms, enum call_id call, uint64_t cookie)
{
	const bool accepted = call == CALL_accept;
	struct event ev = event(ms, call, cookie, STATE_ESTABLISHED);

	ev.sock.local = at(accepted ? THEIRS : OURS);
	ev.sock.peer = at(accepted ? OURS : THEIRS);
	return ev;
}

static void connects(struct lives *lives, uint64_t ms, uint64_t cookie)
{
	const struct event ev = made(ms, CALL_connect, cookie);

	assert_non_null(lives_event(lives, 0, &ev));
}

static void accepts(struct lives *lives, uint32_t host, uint64_t ms, uint64_t cookie)
{
	const struct event ev = made(ms, CALL_accept, cookie);

	assert_non_null(lives_event(lives, host, &ev));
}

static void closes(struct lives *lives, uint32_t host, uint64_t ms, uint64_t cookie, uint8_t state)
{
	struct event ev = event(ms, CALL_close, cookie, state);

	ev.sock.has_timer = state == STATE_TIME_WAIT;
	ev.sock.timer_ms = 60000;
	assert_non_null(lives_event(lives, host, &ev));
}

static void two_ends(void **state)
{
	struct lives lives = begin(100);

	(void)state;
	connects(&lives, 0, 1);
	accepts(&lives, 0, 1, 2);
	closes(&lives, 0, 2, 1, STATE_FIN_WAIT_1);
	closes(&lives, 0, 3, 2, STATE_CLOSED);
	lives_end(&lives);
	assert_int_equal(told[1].mate, 2);
	assert_int_equal(told[2].mate, 1);
	assert_int_equal(told[1].end, LIFE_CLOSED);
}

/* The kernel has it in TIME_WAIT for a minute, in which the other end may be accepted. */
static void lives_overlap(void **state)
{
	static const struct {
		uint8_t state;
		uint64_t accepted_ms;
		uint64_t mate;
	} rows[] = {
		{STATE_TIME_WAIT, 30000, 2},
		{STATE_TIME_WAIT, 60011, 0},
		{STATE_CLOSED, 11, 0},
		{STATE_CLOSED, 10, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct lives lives = begin(100);

		connects(&lives, 0, 1);
		closes(&lives, 0, 10, 1, rows[i].state);
		accepts(&lives, 0, rows[i].accepted_ms, 2);
		lives_end(&lives);
		assert_int_equal(told[1].mate, rows[i].mate);
		assert_false(told[1].ambiguous);
	}
}

/* One cookie and one pair of addresses on two hosts. */
static void hosts_are_apart(void **state)
{
	struct lives lives = begin(100);

	(void)state;
	connects(&lives, 0, 1);
	accepts(&lives, 1, 1, 2);
	lives_end(&lives);
	assert_true(told[1].over && told[2].over);
	assert_int_equal(told[1].mate, 0);
	assert_int_equal(told[2].mate, 0);
}

/* Two namespaces with the same addresses: no end of the four is known to be another's. */
static void more_than_one(void **state)
{
	struct lives lives = begin(100);

	(void)state;
	connects(&lives, 0, 1);
	accepts(&lives, 0, 1, 2);
	connects(&lives, 2, 3);
	accepts(&lives, 0, 3, 4);
	connects(&lives, 4, 5);
	lives_end(&lives);
	for (int i = 1; i <= 5; i++) {
		assert_true(told[i].ambiguous);
		assert_int_equal(told[i].mate, 0);
	}
}

/* Each closed by RST before the next one: known. In TIME_WAIT: not. */
static void one_tuple_again(void **state)
{
	const uint8_t ways[] = {STATE_CLOSED, STATE_TIME_WAIT};

	(void)state;
	for (size_t way = 0; way < COUNT_OF(ways); way++) {
		struct lives lives = begin(4000);

		for (uint64_t i = 0; i < 1000; i++) {
			connects(&lives, 10 * i, 2 * i + 1);
			accepts(&lives, 0, 10 * i + 1, 2 * i + 2);
			closes(&lives, 0, 10 * i + 2, 2 * i + 1, ways[way]);
			closes(&lives, 0, 10 * i + 3, 2 * i + 2, STATE_CLOSED);
		}
		lives_end(&lives);
		for (uint64_t i = 1; i < 1999; i++) {
			assert_true(told[i].over);
			assert_int_equal(told[i].mate, way ? 0 : (i - 1) / 2 * 2 + 2 - (i - 1) % 2);
			assert_int_equal(told[i].ambiguous, way);
		}
	}
}

/* No more than so many at a time; the elder closed ones go first. */
static void room(void **state)
{
	struct lives lives = begin(10);
	struct event ev;

	(void)state;
	for (uint64_t i = 1; i <= 50; i++) {
		connects(&lives, i, i);
		closes(&lives, 0, i, i, STATE_TIME_WAIT);
		assert_true(lives.count <= 10);
	}
	assert_true(lives.dropped >= 40 && lives.dropped <= 45);
	assert_true(told[1].over);
	for (uint64_t i = 51; i <= 60; i++)
		connects(&lives, i, i);
	ev = made(61, CALL_connect, 61);
	assert_null(lives_event(&lives, 0, &ev));
	assert_int_equal(lives.left_out, 1);
	lives_end(&lives);
	assert_int_equal(told[60].end, LIFE_OPEN);
}

static void assert_path(const struct path *path, const uint8_t *expected, unsigned int count)
{
	assert_int_equal(path->count, count);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(path->state[i], expected[i]);
}

static void paths(void **state)
{
	static const uint8_t expected[] = {STATE_CLOSED, STATE_SYN_SENT | PATH_PASSED,
					   STATE_ESTABLISHED, STATE_FIN_WAIT_1 | PATH_PASSED,
					   STATE_FIN_WAIT_2};
	struct lives lives = begin(10);
	struct event ev = event(0, CALL_connect, 1, STATE_ESTABLISHED);

	(void)state;
	ev.sock.was = STATE_CLOSED;
	ev.sock.via[0] = STATE_SYN_SENT;
	ev.sock.n_via = 1;
	lives_event(&lives, 0, &ev);
	ev = event(5, CALL_setsockopt, 1, STATE_ESTABLISHED);
	lives_event(&lives, 0, &ev);
	ev = event(20, CALL_close, 1, STATE_FIN_WAIT_2);
	ev.dur_ns = 1000000;
	ev.sock.via[0] = STATE_FIN_WAIT_1;
	ev.sock.n_via = 1;
	lives_event(&lives, 0, &ev);
	lives_end(&lives);
	assert_path(&told[1].path, expected, COUNT_OF(expected));
	/* Our own FIN ended it: not before the call. It may have begun as the connect returned. */
	assert_int_equal(stays[STATE_ESTABLISHED].least_ns, 19000000);
	assert_int_equal(stays[STATE_ESTABLISHED].most_ns, 20000000);
}

/* When the peer's FIN came is not known: between the event before and this one. */
static void bounds(void **state)
{
	struct lives lives = begin(10);
	struct event ev;

	(void)state;
	connects(&lives, 0, 1);
	ev = event(5, CALL_setsockopt, 1, STATE_ESTABLISHED);
	lives_event(&lives, 0, &ev);
	ev = event(9, CALL_setsockopt, 1, STATE_CLOSE_WAIT);
	lives_event(&lives, 0, &ev);
	assert_int_equal(stays[STATE_ESTABLISHED].least_ns, 5000000);
	assert_int_equal(stays[STATE_ESTABLISHED].most_ns, 9000000);
	ev = event(20, CALL_close, 1, STATE_LAST_ACK);
	lives_event(&lives, 0, &ev);
	assert_int_equal(stays[STATE_CLOSE_WAIT].least_ns, 11000000);
	assert_int_equal(stays[STATE_CLOSE_WAIT].most_ns, 15000000);
	lives_end(&lives);
}

/* Another descriptor has it open: the close was not its end. */
static void goes_on(void **state)
{
	struct lives lives = begin(10);
	struct event ev = event(5, CALL_close, 1, STATE_CLOSED);

	(void)state;
	ev.notes = NOTE_BIT(NOTE_STILL_OPEN);
	lives_event(&lives, 0, &ev);
	ev = event(6, CALL_exit, 2, STATE_ESTABLISHED);
	lives_event(&lives, 0, &ev);
	lives_end(&lives);
	assert_int_equal(told[1].end, LIFE_OPEN);
	assert_int_equal(told[2].end, LIFE_LEFT);
}

static void too_long_a_path(void **state)
{
	struct lives lives = begin(10);

	(void)state;
	for (uint64_t i = 0; i < 99; i++) {
		struct event ev = event(i, CALL_connect, 1, i % 2 ? STATE_CLOSED : STATE_SYN_SENT);

		lives_event(&lives, 0, &ev);
	}
	lives_end(&lives);
	assert_int_equal(told[1].path.count, PATH_MOST);
	assert_true(told[1].path.cut);
}

static void rows(void **state)
{
	struct row {
		uint64_t key[2];
		uint64_t count;
	} * row;
	struct table table = {.row_size = sizeof(*row), .key_size = sizeof(row->key), .most = 300};

	(void)state;
	for (uint64_t turn = 0; turn < 3; turn++)
		for (uint64_t i = 0; i < 301; i++) {
			const uint64_t key[2] = {i % 7, i / 7};

			row = table_row(&table, key);
			assert_int_equal(!row, i == 300);
			if (row)
				assert_int_equal(row->count++, turn);
		}
	assert_int_equal(table.count, 300);
	assert_int_equal(table.left_out, 3);
	table_end(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_ends),
		cmocka_unit_test(lives_overlap),
		cmocka_unit_test(hosts_are_apart),
		cmocka_unit_test(more_than_one),
		cmocka_unit_test(one_tuple_again),
		cmocka_unit_test(room),
		cmocka_unit_test(paths),
		cmocka_unit_test(bounds),
		cmocka_unit_test(goes_on),
		cmocka_unit_test(too_long_a_path),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
