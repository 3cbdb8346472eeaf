/* SPDX-License-Identifier: MIT */
/*
 * test_unclosed.c - cli/why/unclosed: what is told of connections that a program does not close.
 */
#include "why/unclosed.h"

#include "unit.h"

enum { S = 1000, MIN = 60 * S, H = 60 * MIN, DAY = 24 * H };

/* Who has what open: the same server twice, it and its child, nine of a prefork, one unseen. */
enum { OURS = 1, SAME, SHARED, CROWD, UNSEEN };

static struct owner processes[] = {{42, "server"}, {43, "child"}, {7, "prefork"}};
static struct opening all[] = {
	{.owner = 0}, {.owner = 0}, {.owner = 0, .next = 4}, {.owner = 1}, {.owner = 2}};
static struct owners owners[] = {
	{.inode = OURS, .count = 1, .first = 1},
	{.inode = SAME, .count = 1, .first = 2},
	{.inode = SHARED, .count = 2, .first = 3},
	{.inode = CROWD, .count = 9, .first = 5},
	{.inode = UNSEEN},
};

/* Of nobody where the inode is 0. */
static struct diag_sock sock(uint32_t inode, uint32_t silent_ms)
{
	return (struct diag_sock){
		.local = {.port = 80},
		.state = STATE_CLOSE_WAIT,
		.silent_ms = silent_ms,
		.uid = 1000,
		.inode = inode,
	};
}

/* What is printed of these is what was expected. */
static void assert_told(struct diag_sock *socks, size_t count, enum sight sight,
			const char *expected)
{
	const struct port port = {
		.number = 80,
		.socks = socks,
		.count = count,
		.owners = owners,
		.owner_count = COUNT_OF(owners),
		.openings = {.owners = processes, .all = all, .sight = sight},
	};
	char text[2048];
	struct out out = out_into(text, sizeof(text) - 1);
	struct crowd crowd;

	assert_true(crowd_of(&crowd, &port, 0, 0));
	for (size_t i = 0; i < crowd.table.count; i++) {
		const struct group *group = table_at(&crowd.table, i);

		if (!group->alike.unclosed)
			continue;
		out_unclosed(&out, &port.openings, group);
		out_char(&out, '\n');
	}
	*out.at = '\0';
	assert_string_equal(text, expected);
	crowd_end(&crowd);
}

static void nothing(void **state)
{
	struct diag_sock socks[] = {sock(OURS, 999), sock(OURS, 5 * S), sock(OURS, 5 * S)};

	(void)state;
	socks[1].state = STATE_ESTABLISHED;
	socks[2].state = STATE_LISTEN;
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
		struct diag_sock one = sock(OURS, rows[i].ms);
		char expected[256];

		snprintf(expected, sizeof(expected),
			 "server (42) has 1 connection whose peer closed at least %s ago: "
			 "it does not close it\n",
			 rows[i].text);
		assert_told(&one, 1, SEES_ALL, expected);
	}
}

/* Those of one program are told of at once, the longest age with them. */
static void together(void **state)
{
	struct diag_sock socks[] = {
		sock(OURS, 5 * S),  sock(SHARED, 2 * S), sock(0, 3 * S),	sock(SAME, 3 * H),
		sock(CROWD, 5 * S), sock(OURS, 10),	 sock(UNSEEN, 5 * MIN), sock(0, 3 * MIN),
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
		"min ago: it does not close it\n");
	assert_told(
		&socks[6], 1, SEES_OURS,
		"a process of another user, uid 1000, has 1 connection whose peer closed at least "
		"5 min ago: it does not close it\n");
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
