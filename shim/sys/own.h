/*
 * own.h - the shim's own descriptors: few, high, close-on-exec, and invisible to
 * the program (its close of one answers EBADF, its ranges go around them).
 *
 * A number is ours only as long as the same file is behind it: the program may
 * close it by a system call of its own and get the number for something else.
 */
#ifndef SYS_OWN_H
#define SYS_OWN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sys/process.h"

enum own_slot { OWN_LOG, OWN_DIAG, OWN_COUNT = OWN_DIAG + DIAG_SOCKETS };

extern int own_lowest; /* no number below it is ours */

/* Slow path of own_is: asks the kernel whether it is still ours. */
bool own_is_really(int fd);

/* Is this descriptor ours? Cheap for every number that a program commonly has. */
static inline bool own_is(int fd)
{
	return __builtin_expect(fd >= own_lowest, 0) && own_is_really(fd);
}

/* The slot's descriptor, -1 where there is none or it is not ours any more. */
int own_checked(unsigned int slot);

/* The same, and how many bytes its file has. */
int own_checked_size(unsigned int slot, uint64_t *ret_size);

/* The number in the slot, unchecked: -1 for none. */
int own_number(unsigned int slot);

/*
 * Make fd ours in that slot, under a high number; its present number is free again
 * whatever happens. With keep_number it takes the place of what the slot has, on
 * the same number (a forked child's socket in the place of its parent's).
 * Return the number, or -errno.
 */
int own_adopt(unsigned int slot, int fd, bool keep_number);

/*
 * Make the number fd free for the program, which is about to dup2 onto it: ours
 * goes on under another number. Only where own_is(fd).
 */
void own_move_away(int fd);

#endif
