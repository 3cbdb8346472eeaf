/*
 * work.h - room for what a caller's stack may be too small for: a line with frames,
 * a walk, which even runs on a stack in it.
 *
 * A few areas are mapped at load; when all are in use, one is mapped for the call.
 */
#ifndef SYS_WORK_H
#define SYS_WORK_H

#include <stdbool.h>

enum { WORK_SIZE = 32768 };

struct work {
	char *room; /* WORK_SIZE bytes, of no particular content */
	int slot;
};

/* At load, where work will be wanted; may be called again. */
void work_init(void);

/* False where there is no memory. */
bool work_begin(struct work *ret);
void work_end(const struct work *work);

/*
 * Call function(arg) on a stack that ends at top. All signals must be blocked:
 * the kernel would take this stack for one that is not the alternate stack, and
 * start a handler over the frames of one that runs there.
 */
void work_on_stack(void *top, void (*function)(void *arg), void *arg);

#endif
