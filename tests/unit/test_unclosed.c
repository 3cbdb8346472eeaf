/*
 * test_unclosed.c - cli/unclosed: what is told of connections that a program does not close.
 */
#include "unclosed.h"

#include <stdlib.h>

#include "unit.h"

enum { S = 1000, MIN = 60 * S, H = 60 * MIN, DAY = 24 * H };

static struct owners ours = {.inode = 1, .count = 1, .named = {{42, "server"}}};
static struct owners same = {.inode = 2, .count = 1, .named = {{42, "server"}}};
static struct owners shared = {.inode = 3, .count = 2, .named = {{42, "server"}, {43, "child"}}};
static struct owners crowd = {.inode = 4, .count = 9, .named = {{7, "prefork"}}};
static struct owners unseen = {.inode = 5};

static struct port_sock sock(struct owners *owners, uint32_t silent_ms)
{
	return (struct port_sock){
		.sock = {.state = STATE_CLOSE_WAIT, .silent_ms = silent_ms, .uid = 1000},
		.owners = owners,
	};
}

/* What is printed of these is what was expected. */
static void assert_told(struct port_sock *socks, size_t count, enum sight sight,
			const char *expected)
{
	const struct port port = {.socks = socks, .count = count, .sight = sight};
	FILE *const before = stdout;
	char *text = NULL;
	size_t len = 0;

	stdout = open_memstream(&text, &len);
	assert_non_null(stdout);
	unclosed_print(&port);
	fclose(stdout);
	stdout = before;
	assert_string_equal(text, expected);
	free(text);
}

static void nothing(void **state)
{
	struct port_sock socks[] = {sock(&ours, 999), sock(&ours, 5 * S), sock(&ours, 5 * S)};

	(void)state;
	socks[1].sock.state = STATE_ESTABLISHED;
	socks[2].sock.state = STATE_LISTEN;
	assert_told(socks, COUNT_OF(socks), SEES_ALL, "");
	assert_told(NULL, 0, SEES_ALL, "");
}

static void ages(void **state)
{
	static const struct {
		uint32_t ms;
		const char *text;
	} rows[] = {
		{S, "1 s"},	     {2 * S - 1, "1 s"},      {119 * S, "119 s"},
		{2 * MIN, "2 min"},  {2 * H - 1, "119 min"},  {3 * H + 5, "3 h"},
		{2 * DAY, "2 days"}, {UINT32_MAX, "49 days"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct port_sock one = sock(&ours, rows[i].ms);
		char expected[256];

		snprintf(expected, sizeof(expected),
			 "server (42) has 1 connection whose peer closed at least %s ago: "
			 "it does not close it\n\n",
			 rows[i].text);
		assert_told(&one, 1, SEES_ALL, expected);
	}
}

/* Those of one program are told of at once, the longest age with them. */
static void together(void **state)
{
	struct port_sock socks[] = {
		sock(&ours, 5 * S),	sock(&shared, 2 * S), sock(NULL, 3 * S),
		sock(&same, 3 * H),	sock(&crowd, 5 * S),  sock(&ours, 10),
		sock(&unseen, 5 * MIN), sock(NULL, 3 * MIN),
	};

	(void)state;
	assert_told(
		socks, COUNT_OF(socks), SEES_ALL,
		"server (42) has 2 connections whose peers closed, the first at least 3 h ago: "
		"it does not close them\n"
		"server (42) and 1 other have 1 connection whose peer closed at least 2 s ago: "
		"they do not close it\n"
		"nobody has accepted 2 connections whose peers closed, the first at least 3 min "
		"ago\n"
		"prefork (7) and 8 others have 1 connection whose peer closed at least 5 s ago: "
		"they do not close it\n"
		"a process out of sight, uid 1000, has 1 connection whose peer closed at least 5 "
		"min ago: it does not close it\n\n");
	assert_told(
		&socks[6], 1, SEES_OURS,
		"a process of another user, uid 1000, has 1 connection whose peer closed at least "
		"5 min ago: it does not close it\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(ages),
		cmocka_unit_test(together),
	};

	return cmocka_run_group_tests_name("unclosed", tests, NULL, NULL);
}
