/* SPDX-License-Identifier: MIT */
/*
 * tracee.h - a thread that is stopped under us (man 2 ptrace): what it calls, and how it goes on.
 *
 * Any of these may find that it has been killed meanwhile. That is nothing to act on: its end is
 * told by wait.
 */
#ifndef CLI_TRACEE_H
#define CLI_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Are this machine's registers known here? */
extern const bool tracee_is_known;

struct tracee_call {
	int64_t number;
	uint64_t args[6];
	uint64_t ip, sp; /* behind the instruction; its stack */
};

/* The call that it is about to make; false where it is not stopped before one. */
bool tracee_enters(pid_t tid, struct tracee_call *ret);

/* What the call has returned, -errno where it failed; false where it is not stopped behind one. */
bool tracee_leaves(pid_t tid, int64_t *ret);

/* Is that the same call from the same place? */
bool tracee_is_same(const struct tracee_call *one, const struct tracee_call *other);

/* Before a call: it is not made, and has that answer. */
bool tracee_refuse(pid_t tid, int64_t answer);

/* Behind a call: the program gets another answer, or makes the call again. */
bool tracee_answer(pid_t tid, int64_t answer);
bool tracee_call_again(pid_t tid, const struct tracee_call *call);

/*
 * Before the first instruction of a signal's handler: where the program goes on when that returns.
 * False where that can't be read.
 */
bool tracee_returns_to(pid_t tid, uint64_t *ret_ip);

enum tracee_way { TRACEE_ON, TRACEE_TO_ITS_END /* of the call */, TRACEE_A_STEP };
void tracee_go(pid_t tid, enum tracee_way way, int signal);

/* What the event's stop is about: a new thread or process; after an exec the thread's old number.
 */
pid_t tracee_message(pid_t tid);

/* Is it a signal that tells of a step, and not one that was sent? */
bool tracee_has_stepped(pid_t tid);

/* Memory of the program's. Return 0 or -EFAULT. */
int tracee_read(pid_t pid, void *ret, uint64_t from, size_t len);

#endif
