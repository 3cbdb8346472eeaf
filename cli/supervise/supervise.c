/* SPDX-License-Identifier: MIT */
/*
 * supervise.c - see supervise.h. The program keeps our number, parent, terminal and exit status: it
 * is we who execute it. The supervisor is a child that nobody waits for by mistake (its end sends
 * no signal, clone(2)), in a session of its own: what is sent to the program's group, or to its
 * terminal's, does not reach it, and what is sent to it all the same is not taken. It goes when the
 * last thread that it follows has gone; where it is killed the kernel kills these
 * (PTRACE_O_EXITKILL), since each call that the filter stops at would fail from then on.
 */
#include "supervise/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/engine.h"
#include "supervise/family.h"
#include "supervise/filter.h"
#include "supervise/tracee.h"
#include "supervise/watch.h"

/* What the supervisor says when it has tried. */
enum step { STEP_FINE, STEP_CHOOSE, STEP_FETCH, STEP_READ, STEP_TRACE };
struct said {
	enum step step;
	int error;
};

/* May a descriptor of the program's be had, and its memory be read? */
static enum step try_questions(pid_t program, int known)
{
	static const char there = 'x';
	const int process = (int)syscall(SYS_pidfd_open, program, 0);
	const int got = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, known, 0);
	char here = 0;

	if (got < 0)
		return STEP_FETCH;
	close(got);
	close(process);
	return tracee_read(program, &here, (uintptr_t)&there, 1) < 0 || here != there ? STEP_READ
										      : STEP_FINE;
}

/*
 * Where a sandbox does not refuse a call but kills who makes it, that is to be us, before we trace:
 * the program would be killed with us from then on. So each call that either will make is made.
 */
static struct said try_program(pid_t program, int known)
{
	struct said said = {.step = STEP_CHOOSE};

	if (filter_is_possible()) {
		family_share_memory(program, getpid());
		said.step = try_questions(program, known);
	}
	if (said.step == STEP_FINE && ptrace(PTRACE_SEIZE, program, NULL, ENGINE_OPTIONS) < 0)
		said.step = STEP_TRACE;
	said.error = errno;
	return said;
}

/* A descriptor for each thread, and room for what is fetched. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static _Noreturn void supervise(int to_program, int its_end, pid_t program)
{
	struct said said;
	char word;

	close(its_end);
	setsid();
	signal(SIGCHLD, SIG_DFL); /* where it is ignored none comes, and the engine waits for it */
	raise_limit();
	if (read(to_program, &word, 1) != 1)
		_exit(1);
	said = try_program(program, its_end);
	if (write(to_program, &said, sizeof(said)) != sizeof(said) || said.step != STEP_FINE)
		_exit(1);
	close(to_program);
	engine_run(program);
	_exit(0);
}

static const char *refused(const struct said *said)
{
	static char words[200];
	static const char *const what[] = {
		[STEP_CHOOSE] = "seccomp is refused",
		[STEP_TRACE] = "ptrace is refused",
		[STEP_FETCH] = "pidfd_getfd is refused",
		[STEP_READ] = "process_vm_readv is refused",
	};

	snprintf(words, sizeof(words), "%s (%s)", what[said->step], strerror(said->error));
	return words;
}

/* Who traces us already. */
static pid_t tracer(void)
{
	char line[200];
	pid_t pid = 0;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "TracerPid: %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid;
}

pid_t supervise_follower(void)
{
	const pid_t pid = tracer();
	char path[32];
	struct stat its, ours;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return pid && stat(path, &its) == 0 && stat("/proc/self/exe", &ours) == 0 &&
			       its.st_dev == ours.st_dev && its.st_ino == ours.st_ino
		       ? pid
		       : 0;
}

/* It has ended without a word. */
static const char *killed(int status)
{
	static char words[200];

	snprintf(words, sizeof(words), "its supervisor is killed when it tries (%s)",
		 WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "without a signal");
	return words;
}

/* Our end of the talk with the supervisor: it may follow us, and has tried. */
static const char *agree(int to_supervisor, pid_t supervisor)
{
	struct said said;
	int status = 0;
	bool answered;

	prctl(PR_SET_PTRACER, supervisor, 0, 0, 0); /* for Yama, else it is unknown */
	answered = send(to_supervisor, "?", 1, MSG_NOSIGNAL) == 1 &&
		   read(to_supervisor, &said, sizeof(said)) == sizeof(said);
	if (answered && said.step == STEP_FINE)
		return NULL;
	waitpid(supervisor, &status, __WALL);
	return answered ? refused(&said) : killed(status);
}

/* By both ends of a talk; the supervisor's is its alone then, so that we hear of its end. */
static const char *start(int ends[2])
{
	const pid_t program = getpid();
	const char *fault;
	sigset_t all, before;
	pid_t supervisor;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	supervisor = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (supervisor == 0)
		supervise(ends[0], ends[1], program);
	fault = supervisor < 0 ? strerror(errno) : NULL;
	close(ends[0]);
	if (!fault)
		fault = agree(ends[1], supervisor);
	close(ends[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fault;
}

bool supervise_is_privileged(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & 1u << CAP_SYS_ADMIN);
}

/* Without CAP_SYS_ADMIN a filter is for those alone that gain no privileges. */
static const char *stop_at(const struct filter_wish *wish, bool *ret_no_new_privs)
{
	int rc = filter_install(wish);

	*ret_no_new_privs = rc == -EACCES;
	if (*ret_no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		rc = filter_install(wish);
	return rc < 0 ? strerror(-rc) : NULL;
}

/* Who is followed is looked up there, by the numbers of our PID namespace. */
static bool proc_is_ours(void)
{
	char self[32] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) > 0 && atoi(self) == getpid();
}

const char *supervise_begin(bool *ret_no_new_privs)
{
	static char words[100];
	const pid_t traced_by = tracer();
	struct filter_wish wish;
	const char *fault;
	int ends[2];

	if (!tracee_is_known)
		return "this machine's registers are not known to it";
	if (!proc_is_ours())
		return "/proc is not the one of its PID namespace (mount -t proc proc /proc)";
	if (traced_by) {
		snprintf(words, sizeof(words), "process %d traces it already", traced_by);
		return words;
	}
	if (!watch_settings(&wish))
		return "there is nothing to do for it";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return strerror(errno);
	fault = start(ends);
	return fault ? fault : stop_at(&wish, ret_no_new_privs);
}
