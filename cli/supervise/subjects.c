/* SPDX-License-Identifier: MIT */
/*
 * subjects.c - see subjects.h.
 */
#include "supervise/subjects.h"

#include <stdlib.h>
#include <string.h>

#include "observe/fdtable.h"
#include "sys/clock.h"

/* What a process counts begins anew with a fork, as the library's page does. */
static bool inherit(struct subject *child, const struct subject *parent)
{
	struct subject_notes *notes = &child->notes;

	child->uid = parent->uid;
	memcpy(child->prog, parent->prog, sizeof(child->prog));
	child->listen_fds = parent->listen_fds;
	child->first_free = parent->first_free;
	child->elsewhere = parent->elsewhere;
	child->fetch = parent->fetch;
	child->peek = parent->peek;
	memcpy(&notes->bound, &parent->notes.bound, sizeof(notes->bound));
	memcpy(&notes->looked, &parent->notes.looked, sizeof(notes->looked));
	atomic_store(&notes->searched, atomic_load(&parent->notes.searched));
	process_count_birth();
	return fdtable_fork(&notes->fds, &parent->notes.fds);
}

struct subject *subject_make(pid_t pid, pid_t parent, const struct subject *forked_from)
{
	struct subject *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->pid = pid;
	made->parent = parent;
	atomic_store(&made->process.owner, pid);
	atomic_store(&made->process.tid, pid);
	atomic_store(&made->process.born, clock_ns(CLOCK_MONOTONIC));
	if (forked_from && !inherit(made, forked_from)) {
		subject_free(made);
		return NULL;
	}
	return made;
}

void subject_free(struct subject *gone)
{
	if (!gone)
		return;
	fdtable_free(&gone->notes.fds);
	free(gone);
}
