/* SPDX-License-Identifier: MIT */
/*
 * option.h - the options of another process's socket, by a copy of its descriptor.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct options {
	bool known; /* it could be fetched (pidfd_getfd: who may trace the process) */
	bool reuseaddr, reuseport;
};

/* Of the socket with that cookie, which that process has open by that number. */
struct options options_of(pid_t pid, int fd, uint64_t cookie);

#endif
