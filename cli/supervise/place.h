/* SPDX-License-Identifier: MIT */
/*
 * place.h - where the events of those that are followed go: to the log that each would have opened
 * when it was executed. They share it unless its path holds a %.
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

/* For the first one. What is open here, and not for the log, is closed then. */
void place_begin(pid_t executed, const char *prog);

/* For another one: of the program that was executed in that process. */
void place_use(pid_t executed, const char *prog);

/*
 * Until it is given back, a line for stderr comes to the one of the thread that is asked about
 * (fetch.h): ours is nowhere. Only when that has just executed: later its descriptor 2 may be any
 * file of the program's.
 */
void place_borrow_stderr(void);
void place_give_stderr_back(void);

#endif
