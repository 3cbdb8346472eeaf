/* SPDX-License-Identifier: MIT */
/*
 * job.h - the command of a gate as a child of ours: to whoever started us, as if it were the
 * program itself.
 *
 * It stays in our process group, so the terminal treats both alike: what a key sends reaches both,
 * and is not passed on. What was sent to us alone is.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct job {
	pid_t pid;
	int signals; /* a descriptor: readable when there is something for job_signals */
	sigset_t mask_before;
	struct sigaction chld_before;
	bool ended;
	bool hurried; /* something came after that: be done with it */
	int failed;   /* a pipe: a byte comes where the command could not be executed */
	int status;   /* as a shell has it: 128 and the signal's number where one ended it */
};

/* The signals are ours from now on. False: errno tells why. */
bool job_begin(struct job *job);

/*
 * Start it: become is what the child does; where it returns it is with an exit status. False: errno
 * tells why.
 */
bool job_start(struct job *job, int (*become)(void *with), void *with);

/* Has it ended because it could not be executed? */
bool job_failed(const struct job *job);

/* Pass on what was sent, stop where the command has stopped, and see whether it has ended. */
void job_signals(struct job *job);

#endif
