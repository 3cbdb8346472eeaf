/* SPDX-License-Identifier: MIT */
/*
 * libc.h - libc's own functions under the hooks, with libc's own types.
 *
 * Until boot has looked them up, and for the calls that come through syscall(),
 * the same calls are made by system call.
 */
#ifndef HOOKS_LIBC_H
#define HOOKS_LIBC_H

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A libc may have none of them: we have them all the same, by system call. */
extern int close_range(unsigned int first, unsigned int last, int flags);
extern void closefrom(int first);

/* What fstat is to programs that were built before glibc 2.33; no header tells of it any more. */
extern int __fxstat(int version, int fd, struct stat *ret);

extern int __fxstat64(int version, int fd, struct stat64 *ret);

/* Where a long has 32 bits, structs are of several kinds, and so are the functions. */
#define LIBC_HAS_TWINS (__SIZEOF_LONG__ == 4)
#if LIBC_HAS_TWINS
struct __stat64_t64; /* with times of 64 bits */
extern int __fstat64_time64(int fd, struct __stat64_t64 *ret);
#endif

struct libc_calls {
#define CALL(name, args, more) __typeof__(name) *name;
#define CARRIER(name) __typeof__(name) *name;
#if LIBC_HAS_TWINS
#define TWIN(name, call) __typeof__(name) *name;
#endif
#include "reuse/calls.def"
};

extern struct libc_calls libc;
extern const struct libc_calls by_syscall;

/*
 * libc's own, not the next definition: a question of ours and no call of the program's. Set by
 * boot.
 */
extern __typeof__(fileno) *libc_fileno;

/*
 * Functions that are known to be libc's own: what these return is the kernel's word. NULL where
 * that is not known, and where nobody asks. Set by boot.
 */
extern struct libc_own {
	__typeof__(socket) *socket;
	__typeof__(accept) *accept;
	__typeof__(accept4) *accept4;
} libc_own;

/* Look up the next definition of every name. Called by boot; can be called again. */
void libc_resolve(void);

#endif
