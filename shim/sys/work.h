/* SPDX-License-Identifier: MIT */
/*
 * work.h - room for what a caller's stack may be too small for: a line with frames,
 * a walk, which even runs on a stack in it.
 *
 * A few areas are mapped at load; when all are in use, one is mapped for the call.
 */
#ifndef SYS_WORK_H
#define SYS_WORK_H

#include <stdbool.h>

enum { WORK_SIZE = 32768 - 16 }; /* with what stands before it, whole pages */

struct work {
	char *room; /* WORK_SIZE bytes, of no particular content */
	int slot;
};

/* At load, where work will be wanted; may be called again. */
void work_init(void);

/*
 * False where there is no memory. In between all signals are blocked: who jumps out of a
 * handler would never give the area back.
 */
bool work_begin(struct work *ret);
void work_end(const struct work *work);

/* Signals may come again, for a wait that may be long. An area may then be lost to a jump. */
void work_let_signals_come(const struct work *work);

/*
 * Call function(arg) on a stack that ends at top, in an area. (With a signal the kernel would
 * take this stack for one that is not the alternate stack, and start a handler over the frames
 * of one that runs there.)
 */
void work_on_stack(void *top, void (*function)(void *arg), void *arg);

#endif
