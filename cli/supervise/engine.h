/* SPDX-License-Identifier: MIT */
/*
 * engine.h - follows a thread, and all that comes of it, from stop to stop until none is left.
 */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include <sys/types.h>

/* It has been seized (man 2 ptrace) with these options. */
#define ENGINE_OPTIONS                                                                             \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |  \
	 PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
void engine_run(pid_t first);

#endif
