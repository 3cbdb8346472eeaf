/* SPDX-License-Identifier: MIT */
/*
 * process.h - what /proc tells of a process: whose, what, from where, since when, and who has
 * started it. All of it is text of others: bounded here, and made plain where it is printed.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "why/cgroup.h"

enum { ANCESTORS = 32 };

struct ancestor {
	pid_t pid;
	char prog[16];
	bool is_shell; /* that somebody sits in front of: it leads a session */
};

struct process {
	pid_t pid;
	char prog[16];
	bool has_uid, has_age;
	uid_t uid;
	char user[64]; /* empty where the uid has no name */
	uint64_t age_s;
	char command[1024]; /* its words, a space between two; as much as fits */
	char folder[512];   /* empty where that can't be seen */
	struct cgroup cgroup;
	bool socket_activated; /* LISTEN_FDS is meant for it */
	unsigned int listen_fds;
	/* docker-proxy: of which container's port. */
	char container_ip[64], container_port[8];
	/* From its parent on, up to a shell; or up to the first process. */
	struct ancestor ancestors[ANCESTORS];
	unsigned int ancestor_count;
};

/* False where there is no such process any more. */
bool process_read(pid_t pid, struct process *ret);

#endif
