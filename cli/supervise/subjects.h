/* SPDX-License-Identifier: MIT */
/*
 * subjects.h - the processes that the observers are asked about (observe/subject.h), from their
 * beginning to their end.
 */
#ifndef CLI_SUBJECTS_H
#define CLI_SUBJECTS_H

#include <sys/types.h>

#include "observe/subject.h"

/*
 * A process since it was executed; or since it was forked from that parent, of which it knows what
 * that knew. tid, uid, fetch, peek and what it is called are to be set where they are not the
 * parent's. NULL where memory is out.
 */
struct subject *subject_make(pid_t pid, pid_t parent, const struct subject *forked_from);

/* Not the one that is looked at. NULL: nothing. */
void subject_free(struct subject *gone);

#endif
