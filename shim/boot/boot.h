/* SPDX-License-Identifier: MIT */
/*
 * boot.h - what happens once, before main: the parts of the constructor. Only
 * here may libc be used freely.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <sys/types.h>

#include "facts/settings.h"

/*
 * One line on stderr, the only kind that the shim ever writes there: "libreuse: …". Not
 * where the parent has told the same: of that variable (NULL: of the library), and, where
 * acting is given, in each program in which the shim acts by these settings.
 */
void complain(const char *variable, const struct settings *acting, const char *const *parts);

#define COMPLAIN(variable, acting, ...)                                                            \
	complain(variable, acting, (const char *const[]){__VA_ARGS__, NULL})

bool told_by_parent(const char *variable, const struct settings *acting);

/*
 * A function of the kernel's vDSO, or of libc itself, whatever other libraries have put in its
 * place. NULL where there is none.
 */
void *vdso_function(const char *name);
void *libc_function(const char *name);

/* The same, and NULL as well where it can't be told whose it is. */
void *libc_function_surely(const char *name);

/*
 * Read the environment into set, which is all zero; what is not understood is told
 * and left at its default.
 */
void environment_read(struct settings *set);

/*
 * Make our own relative entry of LD_PRELOAD absolute, and a relative path in
 * TCPSHIM_LOG, so that children find them from wherever they start.
 */
void environment_make_absolute(const struct settings *set);

/* How many descriptors, from 3 on, LISTEN_FDS says were handed to this process. */
int environment_listen_fds(void);

/*
 * The path that set->log_path stands for: %p, %n, %%, of that program in that process. Return its
 * length, or -1 (too long).
 */
int expand_path(char *ret, size_t size, const struct settings *set, const char *prog, pid_t pid);

/*
 * Open unix:PATH for the events; a path that begins with @ is of the abstract namespace. Return
 * NULL, or in words why that can't be.
 */
const char *log_open_unix(const char *path, size_t len);

/* Likewise, the journal. */
const char *log_open_journal(void);

/* Open the log of that program. False where that can't be done, which has been told then. */
bool log_open(const struct settings *set, const char *prog, pid_t pid);

/* What a library finds under a name that it takes from others. */
struct import {
	const char *name; /* NULL ends a list */
	void (*function)(void);
};

/*
 * The library (its struct link_map), which was loaded for us, finds these under their
 * names from now on. False where that can't be arranged.
 */
bool imports_answer(const void *library, const struct import *answers);

/* Load libunwind and try it. Where stacks can't be had, that has been told then. */
void stacks_open(void);

#endif
