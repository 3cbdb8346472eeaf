/* SPDX-License-Identifier: MIT */
/*
 * hook.h - what every hook starts and ends with, and the hooks that others call.
 *
 * A hook is four paragraphs: before, the real call, after, return. It is written
 * once, as NAME_by, with the way to make the real call as its first argument:
 * libc's function, or for syscall() the system call, which is no cancellation
 * point. Nothing is held across the real call. errno is read right after it,
 * only where it failed, and nothing below the hooks can write it.
 */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include <errno.h>
#include <stdbool.h>

#include "facts/shim.h"
#include "hooks/libc.h"

#define HOOK __attribute__((visibility("default")))

/* Another exported name of the same function; nobody calls it through this declaration. */
#define HOOK_ALIAS(name, of)                                                                       \
	extern __typeof__(of) name __attribute__((alias(#of), visibility("default"), nothrow, leaf))

/* Nothing to do but the program's call? So it is before boot, and in a sandbox. */
static inline bool hook_idle(enum call_id call)
{
	const uint32_t hooks = atomic_load_explicit(&shim.hooks, memory_order_relaxed);

	return __builtin_expect(!(hooks & CALL_BIT(call)), 1);
}

static inline int hook_error(long rc)
{
	return rc < 0 ? errno : 0;
}

/* What the program gets: the result, and errno only where it failed. */
static inline int hook_result(int rc, int err)
{
	if (rc < 0)
		errno = err;
	return rc;
}

static inline long hook_result_long(long rc, int err)
{
	if (rc < 0)
		errno = err;
	return rc;
}

static inline int hook_refuse(int err)
{
	errno = err;
	return -1;
}

int socket_by(__typeof__(socket) *way, int domain, int type, int protocol);
int bind_by(__typeof__(bind) *way, int fd, const struct sockaddr *addr, socklen_t len);
int listen_by(__typeof__(listen) *way, int fd, int backlog);
int connect_by(__typeof__(connect) *way, int fd, const struct sockaddr *addr, socklen_t len);
int accept_by(__typeof__(accept) *way, int fd, struct sockaddr *addr, socklen_t *len);
int accept4_by(__typeof__(accept4) *way, int fd, struct sockaddr *addr, socklen_t *len, int flags);
int setsockopt_by(__typeof__(setsockopt) *way, int fd, int level, int option, const void *value,
		  socklen_t len);
int getsockopt_by(__typeof__(getsockopt) *way, int fd, int level, int option, void *value,
		  socklen_t *len);
int shutdown_by(__typeof__(shutdown) *way, int fd, int how);
int close_by(__typeof__(close) *way, int fd);
int dup_by(__typeof__(dup) *way, int fd);
int dup2_by(__typeof__(dup2) *way, int fd, int newfd);
int dup3_by(__typeof__(dup3) *way, int fd, int newfd, int flags);
int fcntl_by(__typeof__(fcntl) *way, int fd, int command, long arg);
int close_range_by(__typeof__(close_range) *way, unsigned int first, unsigned int last, int flags);
int prctl_by(__typeof__(prctl) *way, int option, const unsigned long *args);
/* Is it a descriptor of the shim's own, which the program has not? errno says so then. */
bool fstat_refused(int fd);
__typeof__(dlopen) *dlopen_way(const char *file, int flags);
long seccomp_by(unsigned int operation, unsigned int flags, void *filter);

#endif
