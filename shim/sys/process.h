/* SPDX-License-Identifier: MIT */
/*
 * process.h - which process this memory belongs to, and what each process counts
 * for itself.
 *
 * The page that holds it is zero again in a forked child (MADV_WIPEONFORK), but
 * not in a vfork child, which runs in its parent's memory: there the owner is
 * another pid than one's own, and nothing here may be touched.
 */
#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIAG_SOCKETS = 2, RING_HELD_WORDS = 16, PROOF_BITS = 6, PROOFS = 1 << PROOF_BITS };
enum { EXHAUSTED_BIND, EXHAUSTED_CONNECT4, EXHAUSTED_CONNECT6, EXHAUSTED_KINDS };

struct process {
	_Atomic(pid_t) owner;		      /* 0: not claimed since the fork */
	_Atomic(uint64_t) born;		      /* CLOCK_MONOTONIC when it was claimed */
	_Atomic(uint64_t) seq;		      /* events numbered so far */
	_Atomic(uint64_t) lost;		      /* events lost and not yet told */
	_Atomic(uint64_t) diag[DIAG_SOCKETS]; /* who has our netlink sockets: observe/diag.c */
	_Atomic(uint64_t) diag_netns[DIAG_SOCKETS]; /* theirs, for good; 0: not asked yet */
	_Atomic(uint64_t) proofs[PROOFS];	    /* observe/proofs.c */
	/* When what takes long was done last, and what came of it: observe/turns.h. */
	_Atomic(uint64_t) explained, taken, privileged, bound_here, counted, file_max;
	_Atomic(uint64_t) exhausted[EXHAUSTED_KINDS], exhausted_to;
	/* Where in the flight recorder this process writes: log/ring.c. */
	_Atomic(uint64_t) ring_at, ring_time;
	_Atomic(uint64_t) ring_held[RING_HELD_WORDS];
	_Atomic(int) ring_fd; /* the descriptor through which that is so */
	/* Of another process than ours: the thread whose call is looked at. */
	_Atomic(pid_t) tid;
};

extern _Atomic(struct process *) process_page;

#define this_process (*atomic_load_explicit(&process_page, memory_order_relaxed))

/*
 * A supervisor lets that be another process, which is zero but for owner, born and tid to begin
 * with; NULL: itself again. Its netlink sockets and its place in the flight recorder stay its own.
 */
void process_set(struct process *other);

extern struct process *process_of_supervisor; /* NULL: process_page is ours */

#define our_process (*(process_of_supervisor ? process_of_supervisor : &this_process))

/*
 * At load, before the first fork: libc's own pthread_self and pthread_getcpuclockid, whatever
 * another library has put in their place; NULL where it has none.
 */
typedef __typeof__(pthread_self) thread_self;
typedef __typeof__(pthread_getcpuclockid) thread_clock;
void process_use(thread_self *self_of_libc, thread_clock *clock_of_libc);

/* At load: make the page, and claim it. Return 0 or -errno. */
int process_init(void);

/* The same with less work: can the kernel do it? Then it is made when it is first needed. */
int process_init_later(void);

/*
 * Which generation of the family it is, that is of the process that was loaded and all that are
 * forked from it: another one since any of these has claimed its memory. What one of them notes of
 * a socket, another one may change after the fork. 0: not known.
 */
uint32_t process_generation(void);

/* A supervisor has seen one born: to it all that it looks at are one family. */
void process_count_birth(void);

/* May another process than the owner run in this memory? */
extern atomic_bool process_is_lent;

/*
 * Before another process runs in this memory, as a vfork child does: from now on, and for good, it
 * is asked who calls. Nothing takes that back: between the child's end and what would take it back
 * a signal's handler may run, or jump away; and it may call vfork itself.
 */
static inline void process_lend(void)
{
	atomic_store_explicit(&process_is_lent, true, memory_order_relaxed);
}

/*
 * The caller's pid where this memory is its own, else 0 (a vfork child). A system call where the
 * memory has been lent, or a fork has wiped the page.
 */
pid_t process_owner(void);

/*
 * Is that still so of the pid that it has said earlier in this call? No system call: a handler of
 * a signal may have forked meanwhile and gone on here, where the page is empty or claimed anew.
 */
static inline bool process_is_still(pid_t pid)
{
	return pid && pid == atomic_load_explicit(&this_process.owner, memory_order_relaxed);
}

/* The thread id of the caller, 0 where it can't be had. Only where process_owner() is not 0. */
pid_t process_tid(void);

#endif
