/* SPDX-License-Identifier: MIT */
/*
 * filtered.h - to run a program under a seccomp filter, which is there before it begins.
 */
#ifndef PROGRAMS_FILTERED_H
#define PROGRAMS_FILTERED_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Return only where it can't be run: the status to exit with. */
static inline int run_filtered(struct sock_filter *filter, unsigned short len, char **argv)
{
	const struct sock_fprog program = {len, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("seccomp");
		return 125;
	}
	execv(argv[0], argv);
	perror(argv[0]);
	return 127;
}

#endif
