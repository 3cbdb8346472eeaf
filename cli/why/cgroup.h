/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - which unit of systemd or container a process belongs to, as the text of
 * /proc/PID/cgroup tells it. Pure.
 */
#ifndef CLI_CGROUP_H
#define CLI_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

struct cgroup {
	char path[512];
	char unit[128];	     /* "nginx.service", empty: none */
	char container[128]; /* its id, 64 hexadecimal digits, or its name; empty: none */
	char runtime[32];    /* "docker", "libpod", …, where the path names it */
};

/*
 * From the line 0:: (cgroup v2), where that tells something, else from the line name=systemd (v1).
 * False where neither has a path but /.
 */
bool cgroup_parse(const char *text, size_t len, struct cgroup *ret);

#endif
