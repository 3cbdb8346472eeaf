/* SPDX-License-Identifier: MIT */
/*
 * family.c - see family.h.
 */
#include "supervise/family.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *by_tid; /* of tsearch */
static size_t count;

static int compare(const void *one, const void *other)
{
	const pid_t a = ((const struct task *)one)->tid, b = ((const struct task *)other)->tid;

	return (a > b) - (a < b);
}

struct task *family_find(pid_t tid)
{
	const struct task key = {.tid = tid};
	void *const *found = tfind(&key, &by_tid, compare);

	return found ? *found : NULL;
}

/* A process has no table of its own: any of its threads leads to it, the first one mostly. */
static struct member *find_process(pid_t pid)
{
	struct task *task = family_find(pid);

	return task ? task->of : NULL;
}

/* A number behind a name in /proc/TID/status. */
static pid_t number_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? (pid_t)strtol(at + strlen(name), NULL, 10) : 0;
}

void family_status(pid_t tid, char ret[FAMILY_STATUS])
{
	char path[32];
	size_t len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (file) {
		len = fread(ret, 1, FAMILY_STATUS - 1, file);
		fclose(file);
	}
	ret[len] = '\0';
}

/* Of which process it is a thread, and who that one's parent is; 0 where it has ended. */
static void ask(pid_t tid, pid_t *ret_pid, pid_t *ret_parent)
{
	char text[FAMILY_STATUS];

	family_status(tid, text);
	if (strstr(text, "\nState:\tZ") || strstr(text, "\nState:\tX"))
		*text = '\0'; /* ended: as if it were not there */
	*ret_pid = number_of(text, "\nTgid:\t");
	*ret_parent = number_of(text, "\nPPid:\t");
}

bool family_share_memory(pid_t one, pid_t other)
{
	enum { KCMP_VM = 1 }; /* linux/kcmp.h */

	return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
}

static struct member *make_process(pid_t pid, struct member *parent)
{
	struct member *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->pid = pid;
	process->borrows = parent && family_share_memory(pid, parent->pid);
	return process;
}

/* NULL where memory is out. */
static struct task *add(pid_t tid, struct member *process)
{
	struct task *task = process ? calloc(1, sizeof(*task)) : NULL;

	if (!task)
		return NULL;
	*task = (struct task){.tid = tid, .of = process, .next = process->tasks, .handle = -1};
	if (!tsearch(task, &by_tid, compare)) {
		free(task);
		return NULL;
	}
	process->tasks = task;
	count++;
	return task;
}

struct task *family_claim(pid_t tid, struct member *parent, struct birth *ret)
{
	pid_t pid, parents_pid;
	struct member *process;
	struct task *task;

	*ret = (struct birth){0};
	ask(tid, &pid, &parents_pid);
	if (!pid && parent)
		return NULL; /* it has ended before its parent told of it */
	process = pid ? find_process(pid) : NULL;
	if (!process && pid != tid && parent)
		process = parent; /* whose first thread has ended */
	if (process)
		return add(tid, process);
	ret->parent = parent ? parent : find_process(parents_pid);
	ret->process = make_process(pid ? pid : tid, ret->parent);
	task = add(tid, ret->process);
	if (!task)
		free(ret->process);
	return task;
}

static void forget(struct task *task)
{
	tdelete(task, &by_tid, compare);
	count--;
	if (task->handle >= 0)
		close(task->handle);
	free(task);
}

struct member *family_lose(struct task *task)
{
	struct member *process = task->of;
	struct task **at = &process->tasks;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	forget(task);
	return process->tasks ? NULL : process;
}

void family_only(struct task *task)
{
	struct task *other = task->of->tasks, *next;

	for (; other; other = next) {
		next = other->next;
		if (other != task)
			forget(other);
	}
	task->of->tasks = task;
	task->next = NULL;
	if (task->handle >= 0)
		close(task->handle);
	task->handle = -1;
}

bool family_is_one(void)
{
	return count == 1;
}
