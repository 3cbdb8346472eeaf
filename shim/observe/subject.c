/* SPDX-License-Identifier: MIT */
/*
 * subject.c - see subject.h.
 */
#include "observe/subject.h"

static struct subject_notes ours;

struct subject *subject;
struct subject_notes *subject_notes = &ours;

void subject_set(struct subject *next)
{
	subject = next;
	subject_notes = next ? &next->notes : &ours;
	process_set(next ? &next->process : NULL);
}
