/* SPDX-License-Identifier: MIT */
/*
 * test_sharing.c - observe/sharing: what follows from who has a socket. Each row is a
 * story that can happen; what must not be said of it counts as much.
 */
#include "observe/sharing.h"

#include "unit.h"

enum { SELF = 7, MOST_SHARERS = 4 };

static const struct {
	const char *story;
	struct {
		pid_t pid, parent;
		bool execed, cloexec;
	} have[MOST_SHARERS];
	pid_t named;
	bool by_fork, by_exec, or_exec;
} rows[] = {
	{"a server that closes it on exec", {{10, 1, true, true}}, 10, false, false, false},
	{"a server, or who inherited it", {{10, 1, true, false}}, 10, false, false, true},
	{"a daemon", {{10, 1, false, false}}, 10, false, false, false},
	{"a server and its workers, who come first",
	 {{11, 10, false, true}, {12, 10, false, true}, {10, 1, true, true}},
	 10,
	 true,
	 false,
	 false},
	{"the same, without close-on-exec",
	 {{10, 1, true, false}, {11, 10, false, false}, {12, 10, false, false}},
	 10,
	 true,
	 false,
	 false},
	{"workers whose server is gone",
	 {{11, 1, false, true}, {12, 1, false, true}},
	 11,
	 true,
	 false,
	 false},
	{"the last of them", {{12, 1, false, true}}, 12, false, false, false},
	{"a server and a program that it has started",
	 {{11, 10, true, false}, {10, 1, true, true}},
	 10,
	 false,
	 true,
	 false},
	{"a daemon and a program that it has started",
	 {{10, 1, false, false}, {11, 10, true, false}},
	 10,
	 false,
	 true,
	 false},
	{"two programs whose server is gone",
	 {{11, 1, true, false}, {12, 1, true, false}},
	 11,
	 false,
	 true,
	 false},
	{"a server that got it from another over a unix socket",
	 {{10, 1, true, true}, {20, 1, true, true}},
	 10,
	 false,
	 false,
	 false},
	{"workers, and a program that one of them has started",
	 {{11, 1, false, false}, {12, 1, false, false}, {13, 12, true, false}},
	 11,
	 true,
	 true,
	 false},
	{"ourselves, and our parent",
	 {{SELF, 10, true, false}, {10, 1, true, true}},
	 SELF,
	 false,
	 true,
	 false},
	{"nobody", {{0}}, 0, false, false, false},
};

static void stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sharing sharing = {0};
		struct shared shared;

		for (int k = 0; k < MOST_SHARERS && rows[i].have[k].pid; k++)
			sharing_add(&sharing,
				    &(struct sharer){
					    .pid = rows[i].have[k].pid,
					    .parent = rows[i].have[k].parent,
					    .execed = rows[i].have[k].execed,
					    .cloexec = rows[i].have[k].cloexec,
				    },
				    SELF);
		shared = sharing_judge(&sharing);
		if (sharing.named.pid != rows[i].named || shared.by_fork != rows[i].by_fork ||
		    shared.by_exec != rows[i].by_exec || shared.or_exec != rows[i].or_exec)
			fail_msg("%s: named %d, fork %d, exec %d, perhaps %d", rows[i].story,
				 (int)sharing.named.pid, shared.by_fork, shared.by_exec,
				 shared.or_exec);
	}
}

/* More than are kept are counted. */
static void crowd(void **state)
{
	struct sharing sharing = {0};

	(void)state;
	for (pid_t pid = 100; pid < 100 + 3 * SHARERS_KEPT; pid++)
		sharing_add(&sharing, &(struct sharer){.pid = pid, .parent = 1}, SELF);
	assert_int_equal(sharing.count, 3 * SHARERS_KEPT);
	assert_int_equal(sharing.named.pid, 100);
	assert_true(sharing_judge(&sharing).by_fork);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stories),
		cmocka_unit_test(crowd),
	};

	return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
