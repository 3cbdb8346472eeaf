/* SPDX-License-Identifier: MIT */
/*
 * watch.c - see watch.h. One subject is looked at at a time (observe/subject.h), the process whose
 * thread is stopped; in between there is none.
 */
#include "supervise/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "boot/left_open.h"
#include "facts/out.h"
#include "facts/shim.h"
#include "log/log.h"
#include "log/repeats.h"
#include "log/sink.h"
#include "observe/closings.h"
#include "observe/event.h"
#include "observe/subject.h"
#include "supervise/fetch.h"
#include "supervise/filter.h"
#include "supervise/image.h"
#include "supervise/place.h"
#include "supervise/seen.h"
#include "supervise/subjects.h"
#include "supervise/waiting.h"

/* The halves of each call. */
static const struct {
	seen_before *enters;
	seen_behind *leaves;
} halves[CALL_COUNT] = {
	[CALL_socket] = {seen_enter_socket, seen_leave_socket},
	[CALL_bind] = {seen_enter_bind, seen_leave_bind},
	[CALL_listen] = {seen_enter_listen, seen_leave_listen},
	[CALL_connect] = {seen_enter_connect, seen_leave_connect},
	[CALL_accept] = {seen_enter_accept, seen_leave_accept},
	[CALL_accept4] = {seen_enter_accept, seen_leave_accept},
	[CALL_setsockopt] = {seen_enter_setsockopt, seen_leave_setsockopt},
	[CALL_getsockopt] = {seen_enter_getsockopt, seen_leave_getsockopt},
	[CALL_shutdown] = {seen_enter_shutdown, seen_leave_shutdown},
	[CALL_close] = {seen_enter_close, seen_leave_close},
	[CALL_dup] = {seen_enter_dup, seen_leave_dup},
	[CALL_dup2] = {seen_enter_dup_onto, seen_leave_dup_onto},
	[CALL_dup3] = {seen_enter_dup_onto, seen_leave_dup_onto},
	[CALL_fcntl] = {seen_enter_fcntl, seen_leave_dup},
	[CALL_close_range] = {seen_enter_close_range, seen_leave_close_range},
};

/* A process's subject, and of which process its program's log has the number (%p). */
struct watched {
	struct subject *subject;
	pid_t executed;
	bool exits; /* has said so */
};

static void look_at(struct task *task)
{
	const struct watched *watched = task->of->watched;
	struct repeats_thread nobody;

	atomic_store(&watched->subject->process.tid, task->tid);
	fetch_from(task);
	subject_set(watched->subject);
	place_use(watched->executed, watched->subject->prog);
	repeats_turn_to(&task->repeats, &nobody);
}

static void look_away(struct task *task)
{
	static const struct repeats_thread nobody;

	repeats_turn_to(&nobody, &task->repeats);
	fetch_give_back();
	subject_set(NULL);
}

/* The library's own calls, and what it remembers for them; else only what is logged. */
static uint32_t calls_for_reuse(const struct settings *set)
{
	const uint32_t late = CALL_BIT(CALL_listen) | CALL_BIT(CALL_connect);

	if (set->reuse == REUSE_OFF)
		return set->wait_seconds ? CALL_BIT(CALL_bind) : 0;
	if (set->reuse == REUSE_FORCE)
		return CALL_BIT(CALL_bind);
	return CALL_BIT(CALL_bind) | CALL_BIT(CALL_setsockopt) |
	       (set->reuse == REUSE_GENTLE ? late : 0);
}

/* The path again, as it is in the environment now: absolute. */
static void take_path(struct settings *set)
{
	const char *log = getenv(settings_table[0].variable);

	if (log && set->log >= LOG_FILE)
		settings_table[0].parse(set, log);
}

bool watch_settings(struct filter_wish *ret)
{
	struct settings *set = &shim.set;

	environment_read(set);
	environment_make_absolute(set);
	take_path(set);
	set->stack = 0; /* there is no walking another's */
	if (set->log == LOG_OFF && set->report) {
		shim.silent = true;
		set->log = LOG_STDERR;
		set->format = FORMAT_TEXT;
	}
	ret->calls = calls_for_reuse(set);
	ret->reuse_options = true;
	if (set->log != LOG_OFF) {
		ret->calls |= set->calls | CALL_BIT(CALL_exit);
		ret->reuse_options = !(set->calls & CALL_BIT(CALL_setsockopt));
	}
	return ret->calls != 0;
}

static struct watched *make(pid_t pid, pid_t executed, const struct subject *parent)
{
	struct watched *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->executed = executed;
	made->subject = subject_make(pid, image_parent(pid), parent);
	if (!made->subject) {
		free(made);
		return NULL;
	}
	made->subject->fetch = fetch_for;
	made->subject->peek = fetch_peek;
	return made;
}

static void tell_other_kind(const struct subject *of, const char *kind)
{
	char line[240];
	struct out out = out_into(line, sizeof(line));

	out_str(&out, "tcpshim run: ");
	out_plain(&out, of->prog, strlen(of->prog));
	out_str(&out, " (process ");
	out_i64(&out, of->pid);
	out_str(&out, "), started by what is followed, is ");
	out_str(&out, kind);
	out_str(&out, ": it, and any other such program, runs without the shim\n");
	sink_write_once(STDERR_FILENO, line, out_len(&out));
}

/* Its calls have other numbers and arguments. Told once: there may be a thousand of them. */
static bool is_of_other_kind(const struct subject *of)
{
	static bool told;
	const char *kind = image_other_kind(of->pid);

	if (kind && !told)
		tell_other_kind(of, kind);
	told |= kind != NULL;
	return kind;
}

/* The log is opened now, as the library does it: what is wrong with it is told on stderr. */
static bool can_be_watched(const struct watched *watched)
{
	const struct subject *of = watched->subject;

	if (!settings_act_in(&shim.set, of->prog) || is_of_other_kind(of))
		return false;
	place_use(watched->executed, of->prog);
	return true;
}

void watch_start(struct member *process)
{
	static bool begun;
	struct watched *watched = make(process->pid, process->pid, NULL);

	if (!watched)
		return;
	process->watched = watched;
	image_learn(watched->subject);
	if (!begun)
		place_begin(process->pid, watched->subject->prog);
	begun = true;
	fetch_from(process->tasks);
	place_borrow_stderr();
	if (!can_be_watched(watched))
		watch_end(process);
	place_give_stderr_back();
	fetch_give_back();
}

void watch_fork(struct member *process, const struct member *parent)
{
	const struct watched *from = parent ? parent->watched : NULL;

	if (parent && !from)
		return; /* not one of those */
	process->watched = make(process->pid, from ? from->executed : process->pid,
				from ? from->subject : NULL);
	if (process->watched && !from)
		image_learn(((struct watched *)process->watched)->subject);
}

/* What was counted of its failures is told. */
void watch_thread_ends(struct task *task)
{
	if (!task->of->watched || !shim.events)
		return;
	look_at(task);
	log_thread_ends();
	look_away(task);
}

void watch_end(struct member *process)
{
	struct watched *watched = process->watched;

	process->watched = NULL;
	if (!watched)
		return;
	subject_set(watched->subject);
	if (shim.events)
		left_open_tell_losses();
	subject_set(NULL);
	subject_free(watched->subject);
	free(watched);
}

/* In a vfork child the library does nothing that it would have to note: it is in its parent. */
static bool is_for_us(const struct task *task)
{
	return task->of->watched && !(task->of->borrows && shim.events);
}

/*
 * All of the process ends, by its own will: not where a signal ends it. Who waits for that reads
 * the log then, so all is told before; once, though each of its threads may say so.
 */
static void all_end(struct task *task)
{
	struct watched *watched = task->of->watched;

	if (watched->exits)
		return;
	watched->exits = true;
	for (struct task *one = task->of->tasks; one; one = one->next)
		watch_thread_ends(one);
	if (!shim.set.report || !shim.events)
		return;
	look_at(task);
	left_open_tell();
	look_away(task);
}

bool watch_enters(struct task *task, struct call *call)
{
	bool followed;

	if (!is_for_us(task))
		return false;
	if (call->id == CALL_exit) {
		all_end(task);
		return false;
	}
	call->seen = calloc(1, sizeof(*call->seen));
	if (!call->seen)
		return false;
	look_at(task);
	followed = halves[call->id].enters(call);
	look_away(task);
	return followed;
}

enum watch_wish watch_leaves(struct task *task, struct call *call, int64_t result)
{
	enum watch_wish wish;

	if (!task->of->watched)
		return WATCH_DONE;
	event_end(&call->seen->ev, result < 0 ? -1 : result, result < 0 ? (int)-result : 0);
	look_at(task);
	wish = halves[call->id].leaves(call);
	look_away(task);
	return wish;
}

bool watch_may_repeat(struct task *task, struct call *call)
{
	bool may;

	look_at(task);
	may = waiting_is_same(call);
	look_away(task);
	return may;
}

void watch_forget(struct call *call)
{
	if (call->seen && call->id == CALL_close_range)
		closings_done(&call->seen->closings);
	free(call->seen);
}
