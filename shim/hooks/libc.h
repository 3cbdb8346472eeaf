/*
 * libc.h - libc's own functions under the hooks, with libc's own types.
 *
 * Until boot has looked them up, and for the calls that come through syscall(),
 * the same calls are made by system call.
 */
#ifndef HOOKS_LIBC_H
#define HOOKS_LIBC_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if !__GLIBC_PREREQ(2, 34)
/* Later than this libc: we have them all the same, by system call. */
extern int close_range(unsigned int first, unsigned int last, int flags);
extern void closefrom(int first);
#endif

struct libc_calls {
#define CALL(name, args, more) __typeof__(name) *name;
#define CARRIER(name) __typeof__(name) *name;
#include "reuse/calls.def"
};

extern struct libc_calls libc;
extern const struct libc_calls by_syscall;

/* Look up the next definition of every name. Called by boot; can be called again. */
void libc_resolve(void);

#endif
