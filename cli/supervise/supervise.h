/* SPDX-License-Identifier: MIT */
/*
 * supervise.h - a program that LD_PRELOAD can't reach is followed by a supervisor, which stops it
 * at its calls and asks what the library would ask in it.
 */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * What this process executes next, and all that comes of it, is followed, by the settings in the
 * environment. NULL, or why that can't be, in words; then nothing has changed.
 * *ret_no_new_privs: for that it had to give up what programs gain when they are executed.
 */
const char *supervise_begin(bool *ret_no_new_privs);

/* The supervisor that follows this process already, if that is what traces it; 0: none. */
pid_t supervise_follower(void);

/* May it be done without giving that up? */
bool supervise_is_privileged(void);

#endif
