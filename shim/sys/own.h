/*
 * own.h - the shim's own descriptors: few, high, close-on-exec, and invisible to
 * the program (its close of one answers EBADF, its ranges go around them).
 */
#ifndef SYS_OWN_H
#define SYS_OWN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sys/process.h"

enum own_slot { OWN_LOG, OWN_DIAG, OWN_COUNT = OWN_DIAG + DIAG_SOCKETS };

extern _Atomic(int) own_fds[OWN_COUNT]; /* -1: none */
extern int own_lowest;			/* no number below it is ours */

static inline int own_fd(unsigned int slot)
{
	return atomic_load_explicit(&own_fds[slot], memory_order_acquire);
}

bool own_is_listed(int fd);

/* Is this descriptor ours? Cheap for every number that a program commonly has. */
static inline bool own_is(int fd)
{
	return __builtin_expect(fd >= own_lowest, 0) && own_is_listed(fd);
}

/*
 * Move fd to a high number and make it ours in that slot; the given number is
 * free again whatever happens. Return the new number, or -errno.
 */
int own_adopt(unsigned int slot, int fd);

/* Give a slot up without closing it: the number is no longer ours. */
void own_forget(unsigned int slot);

/*
 * Make the number fd free for the program, which is about to dup2 onto it: ours
 * goes on under another number. Nothing happens where fd is not ours.
 */
void own_move_away(int fd);

#endif
