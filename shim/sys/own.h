/* SPDX-License-Identifier: MIT */
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

/*
 * Was the number open when this program was started? False where that is not known:
 * what is known is the lowest that was free at load, the first that was ours.
 */
bool own_was_open_at_load(int fd);

/* The number in the slot, unchecked: -1 for none. */
int own_number(unsigned int slot);

/*
 * At load, around what is adopted there: the program's limit is raised for as long,
 * where it may be. Later it is never written: another thread may be setting it.
 */
void own_load_begin(void);
void own_load_end(void);

/*
 * Make fd ours in that slot, under a high number; its present number is free again
 * whatever happens. What the slot had is closed (a forked child's copy of its
 * parent's socket). Return the number, or -errno.
 */
int own_adopt(unsigned int slot, int fd);

/* What kind of file that was when it was adopted: S_IFMT of its mode. */
unsigned int own_type(unsigned int slot);

/* Close what the slot has. */
void own_close(unsigned int slot);

/*
 * Make the number fd free for the program, which is about to dup2 onto it: ours
 * goes on under another number, or is given up where there is no room. Only where
 * own_is(fd). False where dup2 can't get there: ours stays.
 */
bool own_move_away(int fd);

#endif
