/* SPDX-License-Identifier: MIT */
/*
 * job.c - see job.h. A job's parent may be asked to stop (SIGTSTP) and waits for the command to
 * have done so: an editor puts its terminal in order first. Then it stops as well, so that the
 * shell sees the job stopped, by the same signal.
 */
#include "gate/job.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not passed on: what is our own, and what tells of a fault of ours. */
static const int kept[] = {SIGCHLD, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP,
			   SIGSYS,  SIGABRT, SIGTTIN, SIGTTOU, SIGPIPE};

static void passed_on(sigset_t *ret)
{
	sigfillset(ret);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		sigdelset(ret, kept[i]);
	sigaddset(ret, SIGCHLD);
}

/* Whoever ignores it has no children to wait for. */
bool job_begin(struct job *job)
{
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t ours;

	*job = (struct job){.signals = -1, .failed = -1};
	passed_on(&ours);
	if (sigaction(SIGCHLD, &usual, &job->chld_before) < 0 ||
	    sigprocmask(SIG_BLOCK, &ours, &job->mask_before) < 0)
		return false;
	job->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	return job->signals >= 0;
}

bool job_start(struct job *job, int (*become)(void *with), void *with)
{
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	job->failed = ends[0];
	job->pid = fork();
	if (job->pid) {
		close(ends[1]);
		return job->pid > 0;
	}
	sigaction(SIGCHLD, &job->chld_before, NULL);
	sigprocmask(SIG_SETMASK, &job->mask_before, NULL);
	status = become(with);
	_exit(write(ends[1], "", 1) == 1 ? status : 125);
}

bool job_failed(const struct job *job)
{
	char byte;

	return read(job->failed, &byte, 1) == 1;
}

/* By the terminal: a key, its size, its end. The kernel then sends it to the whole group ... */
static bool is_of_terminal(int number)
{
	return number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGHUP ||
	       number == SIGCONT || number == SIGWINCH;
}

/* ... but a hangup, with the SIGCONT behind it, to the session's leader alone. */
static bool is_of_leader(int number)
{
	return (number == SIGHUP || number == SIGCONT) && getsid(0) == getpid();
}

/* A command may have left the group, as timeout(1) does. */
static bool had_it_too(const struct job *job, const struct signalfd_siginfo *info)
{
	const int number = (int)info->ssi_signo;

	if (info->ssi_code > 0)
		return is_of_terminal(number) && !is_of_leader(number) &&
		       getpgid(job->pid) == getpgrp();
	return (pid_t)info->ssi_pid == job->pid;
}

/*
 * Since the stop that we know of: who continues a job does so for the whole group, mostly. It may
 * have stopped again.
 */
static bool has_gone_on(const struct job *job)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)job->pid, &info, WCONTINUED | WNOHANG) == 0 && info.si_pid)
		return true;
	return waitid(P_PID, (id_t)job->pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid;
}

static void pass_on(struct job *job, const struct signalfd_siginfo *info)
{
	const int number = (int)info->ssi_signo;
	const union sigval value = {.sival_ptr = (void *)(uintptr_t)info->ssi_ptr};

	if (job->ended) {
		job->hurried |= number == SIGINT || number == SIGTERM || number == SIGHUP;
		return;
	}
	if (had_it_too(job, info) || (number == SIGCONT && has_gone_on(job)))
		return;
	if (info->ssi_code == SI_QUEUE)
		sigqueue(job->pid, number, value);
	else
		kill(job->pid, number);
}

/* As the command did, by a signal that is blocked until then. */
static void stop_too(int number)
{
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	struct sigaction before;
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	sigaction(number, &usual, &before);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	sigprocmask(SIG_BLOCK, &one, NULL);
	sigaction(number, &before, NULL);
}

static void look_at(struct job *job, const siginfo_t *info)
{
	if (info->si_pid != job->pid)
		return;
	if (info->si_code == CLD_STOPPED || info->si_code == CLD_TRAPPED) {
		stop_too(info->si_status);
		return;
	}
	job->ended = true;
	job->status = info->si_status + (info->si_code == CLD_EXITED ? 0 : 128);
}

/* The command alone; but the first process of a container reaps whatever comes to it. */
static void reap(struct job *job)
{
	const idtype_t whom = getpid() == 1 ? P_ALL : P_PID;

	for (;;) {
		siginfo_t info = {.si_pid = 0};

		if (whom == P_PID && job->ended)
			return;
		if (waitid(whom, (id_t)job->pid, &info, WEXITED | WSTOPPED | WNOHANG) < 0 ||
		    !info.si_pid)
			return;
		look_at(job, &info);
	}
}

void job_signals(struct job *job)
{
	struct signalfd_siginfo info;

	while (read(job->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			pass_on(job, &info);
	reap(job);
}
