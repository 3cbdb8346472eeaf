/* SPDX-License-Identifier: MIT */
/*
 * test_cgroup.c - cli/why/cgroup: units and containers, as real systems write them in
 * /proc/PID/cgroup.
 */
#include "why/cgroup.h"

#include <string.h>

#include "unit.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void kinds(void **state)
{
	static const struct {
		const char *text, *unit, *container, *runtime;
	} rows[] = {
		{"", "", "", ""},
		{"0::/\n", "", "", ""},
		{"0::/init.scope\n", "init.scope", "", ""},
		{"0::/system.slice/nginx.service\n", "nginx.service", "", ""},
		{"0::/system.slice/nginx.service", "nginx.service", "", ""},
		{"0::/system.slice/app.service/worker/1\n", "app.service", "", ""},
		{"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", "", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/dev.service\n",
		 "dev.service", "", ""},
		{"0::/system.slice/docker-" ID ".scope\n", "", ID, "docker"},
		{"0::/docker/" ID "\n", "", ID, "docker"},
		{"0::/system.slice/docker-" ID ".scope/init.scope\n", "", ID, "docker"},
		{"0::/machine.slice/libpod-" ID ".scope/container\n", "", ID, "libpod"},
		{"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope\n", "", ID,
		 "cri-containerd"},
		{"0::/kubepods/besteffort/pod12-34/" ID "\n", "", ID, ""},
		{"0::/lxc.payload.web\n", "", "web", "lxc"},
		{"0::/lxc/web\n", "", "web", "lxc"},
		{"0::/system.slice/" ID "0.service\n", ID "0.service", "", ""},
		{"12:pids:/a.service\n1:name=systemd:/system.slice/b.service\n", "b.service", "",
		 ""},
		{"1:name=systemd:/docker/" ID "\n0::/\n", "", ID, "docker"},
		{"1:name=systemd:/b.service\n0::/c.service\n", "c.service", "", ""},
		{"1:name=other:/b.service\n4:cpu,cpuacct:/x.service\n", "", "", ""},
		{"0::", "", "", ""},
		{":\n::\n:name=systemd:", "", "", ""},
		{"\n\n1:name=systemd:/.service\n", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct cgroup got;

		cgroup_parse(rows[i].text, strlen(rows[i].text), &got);
		assert_string_equal(got.unit, rows[i].unit);
		assert_string_equal(got.container, rows[i].container);
		assert_string_equal(got.runtime, rows[i].runtime);
	}
}

/* Whatever others have written there, what is kept ends within its room. */
static void too_long(void **state)
{
	char text[4096] = "0::/";
	struct cgroup got;

	(void)state;
	memset(text + 4, 'x', sizeof(text) - 4);
	memcpy(text + 300, ".service\n", 9);
	assert_true(cgroup_parse(text, 309, &got));
	assert_int_equal(strlen(got.path), 305);
	assert_int_equal(strlen(got.unit), sizeof(got.unit) - 1);
	assert_true(cgroup_parse(text, sizeof(text), &got));
	assert_true(strlen(got.path) < sizeof(got.path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
