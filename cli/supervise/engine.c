/* SPDX-License-Identifier: MIT */
/*
 * engine.c - see engine.h. Each stop of man 2 ptrace is answered by one function; nothing waits but
 * next_stop. Signals reach the program as they are, and stop it as they would.
 *
 * A call that a signal interrupts ends in the kernel by -ERESTARTSYS, whatever becomes of it. Is
 * there a handler, the kernel decides when it starts it, by SA_RESTART: the frame returns to where
 * the call is made again, or behind it, where it has failed with EINTR. So the thread goes a step
 * with the signal, which shows the frame before the handler has run. Without a handler the call is
 * made again at once.
 */
#include "supervise/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "supervise/family.h"
#include "supervise/filter.h"
#include "supervise/tracee.h"
#include "supervise/watch.h"

/* A handler may be interrupted by another one. What is deeper is told as if it had not begun. */
enum { DEEPEST = 8 };

/* What the kernel itself never tells a program: linux/errno.h of the kernel. */
static bool is_cut(int64_t result)
{
	enum { RESTARTSYS = 512, RESTARTNOINTR, RESTARTNOHAND, RESTART_RESTARTBLOCK = 516 };

	return result == -RESTARTSYS || result == -RESTARTNOINTR || result == -RESTARTNOHAND ||
	       result == -RESTART_RESTARTBLOCK;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct call *begin_call(struct task *task, const struct tracee_call *is, enum call_id id)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->is = *is;
	call->id = id;
	call->outer = task->call;
	task->call = call;
	return call;
}

static void end_call(struct task *task)
{
	struct call *call = task->call;

	task->call = call->outer;
	watch_forget(call);
	free(call);
}

static void end_all_calls(struct task *task)
{
	while (task->call)
		end_call(task);
}

/* Is that the call which was interrupted, made again? Those of handlers that were left are over. */
static bool is_made_again(struct task *task, const struct tracee_call *is)
{
	unsigned int deep = 0;

	for (struct call *call = task->call; call; call = call->outer) {
		if (++deep > DEEPEST)
			break;
		if ((call->cut || call->held) && tracee_is_same(&call->is, is)) {
			while (task->call != call)
				end_call(task);
			return true;
		}
	}
	if (deep > DEEPEST)
		end_all_calls(task);
	return false;
}

/* Those that are held, until their call is made again. */
static struct task *held;

static void let_go(struct task *task)
{
	struct task **at = &held;

	while (*at && *at != task)
		at = &(*at)->later;
	if (*at)
		*at = task->later;
	task->later = NULL;
	task->due_ns = 0;
}

static void hold(struct task *task, int64_t due_ns)
{
	task->due_ns = due_ns;
	task->later = held;
	held = task;
	task->call->held = true;
}

/* Unless it is behind its call no more: killed, and its number that of who has executed. */
static void make_again(struct task *task)
{
	int64_t result;

	let_go(task);
	if (!tracee_leaves(task->tid, &result))
		return;
	task->call->held = true;
	tracee_call_again(task->tid, &task->call->is);
	tracee_go(task->tid, TRACEE_ON, 0);
}

/* Is it one to be told of? */
static bool begins(struct task *task, const struct tracee_call *is, enum call_id id)
{
	struct call *call = task->of->watched ? begin_call(task, is, id) : NULL;

	if (!call)
		return false;
	if (watch_enters(task, call))
		return true;
	end_call(task);
	return false;
}

/* Before a call that the filter stops at. */
static void on_entry(struct task *task)
{
	struct tracee_call is;
	enum call_id id;

	task->steps = false;
	if (!tracee_enters(task->tid, &is) || !filter_call(is.number, &id)) {
		tracee_go(task->tid, TRACEE_ON, 0);
		return;
	}
	if (is_made_again(task, &is)) {
		if (task->call->held && !watch_may_repeat(task, task->call))
			tracee_refuse(task->tid, -EADDRINUSE);
		task->call->cut = task->call->decided = task->call->held = false;
	} else if (!begins(task, &is, id)) {
		tracee_go(task->tid, TRACEE_ON, 0);
		return;
	}
	tracee_go(task->tid, TRACEE_TO_ITS_END, 0);
}

/* The call has returned to the program: with that, or after all with another answer. */
static void finish(struct task *task, int64_t result, bool at_its_end)
{
	const enum watch_wish wish = watch_leaves(task, task->call, result);

	if (at_its_end && wish == WATCH_AGAIN) {
		make_again(task);
		return;
	}
	if (at_its_end && wish == WATCH_LATER) {
		hold(task, task->call->due_ns);
		return;
	}
	if (at_its_end && wish == WATCH_ANSWER)
		tracee_answer(task->tid, task->call->answer);
	end_call(task);
	tracee_go(task->tid, TRACEE_ON, 0);
}

static void on_exit_of_call(struct task *task)
{
	int64_t result;

	if (!task->call || !tracee_leaves(task->tid, &result)) {
		tracee_go(task->tid, TRACEE_ON, 0);
	} else if (is_cut(result)) {
		task->call->cut = true;
		task->call->decided = false;
		tracee_go(task->tid, TRACEE_ON, 0);
	} else {
		finish(task, result, true);
	}
}

/* A handler is about to run: was the call interrupted for good? */
static void on_step(struct task *task)
{
	struct call *call = task->call;
	uint64_t returns_to;

	task->steps = false;
	if (!call || !call->cut || call->decided || !tracee_returns_to(task->tid, &returns_to)) {
		tracee_go(task->tid, TRACEE_ON, 0);
	} else if (returns_to == call->is.ip) {
		finish(task, -EINTR, false);
	} else {
		call->decided = true;
		tracee_go(task->tid, TRACEE_ON, 0);
	}
}

static void on_signal(struct task *task, int signal)
{
	if (task->steps && signal == SIGTRAP && tracee_has_stepped(task->tid)) {
		on_step(task);
		return;
	}
	task->steps = task->call && task->call->cut && !task->call->decided;
	tracee_go(task->tid, task->steps ? TRACEE_A_STEP : TRACEE_ON, signal);
}

static struct task *claim(pid_t tid, struct member *parent)
{
	struct birth birth;
	struct task *task = family_find(tid);

	if (task)
		return task;
	task = family_claim(tid, parent, &birth);
	if (task && birth.process)
		watch_fork(birth.process, birth.parent);
	return task;
}

/* A thread, or a process: whichever of both is told first, its beginning or that it was made. */
static void on_birth(struct task *task)
{
	const pid_t made = tracee_message(task->tid);

	if (made > 0)
		claim(made, task->of);
	tracee_go(task->tid, TRACEE_ON, 0);
}

/* Who executes takes the number of its process's first thread; all other threads are gone. */
static void on_exec(struct task *task)
{
	struct member *process = task->of;

	for (struct task *one = process->tasks; one; one = one->next) {
		let_go(one);
		end_all_calls(one);
		watch_thread_ends(one);
	}
	family_only(task);
	task->steps = false;
	watch_end(process);
	process->borrows = false;
	watch_start(process);
	tracee_go(task->tid, TRACEE_ON, 0);
}

/* The process is stopped, and stays so until SIGCONT; or what stopped it is over. */
static void on_stop_of_group(struct task *task, int signal)
{
	if (signal == SIGTRAP)
		tracee_go(task->tid, TRACEE_ON, 0);
	else
		ptrace(PTRACE_LISTEN, task->tid, NULL, NULL);
}

static void on_stop(struct task *task, int status)
{
	const int signal = WSTOPSIG(status);

	switch (status >> 16) {
	case 0:
		if (signal == (SIGTRAP | 0x80))
			on_exit_of_call(task);
		else
			on_signal(task, signal);
		return;
	case PTRACE_EVENT_SECCOMP:
		on_entry(task);
		return;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		on_birth(task);
		return;
	case PTRACE_EVENT_EXEC:
		on_exec(task);
		return;
	case PTRACE_EVENT_STOP:
		on_stop_of_group(task, signal);
		return;
	default:
		tracee_go(task->tid, TRACEE_ON, 0);
	}
}

static void on_end(struct task *task)
{
	struct member *last;

	let_go(task);
	end_all_calls(task);
	watch_thread_ends(task);
	last = family_lose(task);
	if (last)
		watch_end(last);
	free(last);
}

/* A set of signals in /proc/TID/status. */
static uint64_t signals_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* Those by which libc cancels a thread, and has all of them change their user: no program's own. */
#define SIGNALS_OF_LIBC (UINT64_C(1) << 31 | UINT64_C(1) << 32)

/* Does a signal wait for a thread that is held? And has the program a handler for it? */
static bool is_signalled(pid_t tid, bool *ret_handled)
{
	char text[FAMILY_STATUS];
	uint64_t waiting;

	family_status(tid, text);
	waiting = (signals_of(text, "\nSigPnd:\t") | signals_of(text, "\nShdPnd:\t")) &
		  ~signals_of(text, "\nSigBlk:\t");
	*ret_handled = (waiting & signals_of(text, "\nSigCgt:\t") & ~SIGNALS_OF_LIBC) != 0;
	return waiting != 0;
}

enum { MOMENT_NS = 5000000 };

static void look_at_held(void)
{
	static int64_t looked_ns;
	const int64_t now = now_ns();
	struct task *next;
	bool handled;

	if (now - looked_ns < MOMENT_NS)
		return;
	looked_ns = now;
	for (struct task *task = held; task; task = next) {
		next = task->later;
		handled = false;
		if (!is_signalled(task->tid, &handled) && now < task->due_ns)
			continue;
		task->call->signalled |= handled;
		make_again(task);
	}
}

/* The next thread that has stopped or ended; -1 where none is left. */
static pid_t next_stop(int *ret_status)
{
	static const struct timespec moment = {.tv_nsec = MOMENT_NS};
	sigset_t one_stopped;
	pid_t tid;

	sigemptyset(&one_stopped);
	sigaddset(&one_stopped, SIGCHLD);
	while (held) {
		look_at_held();
		tid = waitpid(-1, ret_status, __WALL | WNOHANG);
		if (tid != 0)
			return tid;
		sigtimedwait(&one_stopped, NULL, &moment);
	}
	do
		tid = waitpid(-1, ret_status, __WALL);
	while (tid < 0 && errno == EINTR);
	return tid;
}

/*
 * All that have stopped or ended by now, in the order in which that was told. Each has its turn
 * then: the kernel tells of the same ones first, so who always calls would keep others waiting.
 */
struct turns {
	unsigned int count;
	struct turn {
		pid_t tid;
		int status;
	} of[512];
};

/* What was told of it earlier is no longer so: it has been killed, or its number has another. */
static void take_turn(struct turns *turns, pid_t tid, int status)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < turns->count; i++)
		if (turns->of[i].tid != tid)
			turns->of[kept++] = turns->of[i];
	turns->of[kept++] = (struct turn){tid, status};
	turns->count = kept;
}

static void gather(struct turns *turns)
{
	int status;
	pid_t tid = next_stop(&status);

	turns->count = 0;
	while (tid > 0) {
		take_turn(turns, tid, status);
		if (family_is_one() || turns->count == sizeof(turns->of) / sizeof(turns->of[0]))
			return;
		tid = waitpid(-1, &status, __WALL | WNOHANG);
	}
}

static void take(const struct turn *turn)
{
	struct task *task = family_find(turn->tid);

	if (WIFSTOPPED(turn->status)) {
		task = task ? task : claim(turn->tid, NULL);
		/* Without memory it is not followed, but goes on. */
		if (task)
			on_stop(task, turn->status);
		else
			tracee_go(turn->tid, TRACEE_ON, 0);
	} else if (task) {
		on_end(task);
	}
}

void engine_run(pid_t first)
{
	static struct turns turns;
	struct birth birth;

	family_claim(first, NULL, &birth);
	for (gather(&turns); turns.count > 0; gather(&turns))
		for (unsigned int i = 0; i < turns.count; i++)
			take(&turns.of[i]);
}
