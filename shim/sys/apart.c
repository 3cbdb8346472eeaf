/*
 * apart.c - see apart.h.
 *
 * A helper does the work, a thread to the kernel alone: libc does not know of it. It
 * has the caller's memory, thread-local memory included, and the caller stands still;
 * so it is the caller in all but its descriptors. It has no files of the program's
 * either: one that another thread closes meanwhile is closed.
 *
 * A thread, since a process could be met by the program's waitpid. Not by CLONE_VFORK:
 * who is stopped while he waits for that is not seen to be stopped, and debuggers take
 * the helper for a process.
 */
#include "sys/apart.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "sys/sys.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/*
 * Those that every thread of libc's has (emulators of the kernel insist on them), and
 * that the kernel tells by the word when the stack is not used any more.
 */
enum {
	HELPER = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		 CLONE_CHILD_CLEARTID
};

/* At the upper end of the helper's room; its stack grows towards the other. */
struct run {
	apart_work *work;
	bool done;
	char arg[] __attribute__((aligned(16)));
};

enum { ROOM = 32768 };

/* apart_entry.S: a helper that calls life(run) on a stack that ends there. Its id, or -errno. */
int apart_start(unsigned long flags, struct run *run, _Atomic(int) *alive,
		void (*life)(struct run *));

/* Once refused, always: an older kernel, or a filter. */
static _Atomic(bool) impossible;

static void live(struct run *run)
{
	const long rc = SYS3(SYS_close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE);

	if (rc == -ENOSYS || rc == -EINVAL || rc == -EPERM)
		atomic_store(&impossible, true);
	if (rc < 0)
		return;
	run->work(run->arg);
	run->done = true;
}

/*
 * Until the helper is none of the process's threads any more: there are calls that a program
 * may make only while it has no other (unshare, setns). One whom a tracer keeps is not waited for
 * without end.
 */
static void see_off(pid_t helper)
{
	enum { QUICK_LOOKS = 1000, MOST_LOOKS = QUICK_LOOKS + 200 };
	static const struct timespec moment = {.tv_nsec = 1000000};
	const pid_t pid = sys_getpid();

	for (int i = 0; i < MOST_LOOKS && SYS3(SYS_tgkill, pid, helper, 0) == 0; i++) {
		if (i < QUICK_LOOKS)
			SYS3(SYS_sched_yield, 0, 0, 0);
		else
			sys_sleep(&moment);
	}
}

static bool run_to_its_end(struct run *run)
{
	_Atomic(int) alive = 1; /* the kernel makes it 0 */
	const pid_t helper = apart_start(HELPER, run, &alive, live);

	if (helper < 0)
		return false;
	while (atomic_load_explicit(&alive, memory_order_acquire))
		SYS4(SYS_futex, &alive, FUTEX_WAIT, 1, NULL);
	see_off(helper);
	return run->done;
}

/* All signals are blocked: nobody can jump out of it and leave the room behind. */
static bool run_in_room(apart_work *work, void *arg, size_t size)
{
	char *room = sys_mmap_pages(ROOM);
	struct run *run;
	bool done;

	if (sys_failed(room))
		return false;
	run = (struct run *)(void *)(room + ROOM - sizeof(*run) - (size + 15) / 16 * 16);
	run->work = work;
	memcpy(run->arg, arg, size);
	done = run_to_its_end(run);
	if (done)
		memcpy(arg, run->arg, size);
	sys_munmap(room, ROOM);
	return done;
}

bool apart_run(apart_work *work, void *arg, size_t size)
{
	uint64_t before;
	bool done;

	if (atomic_load_explicit(&impossible, memory_order_relaxed) ||
	    sys_block_signals(&before) < 0)
		return false;
	done = run_in_room(work, arg, size);
	sys_unblock_signals(&before);
	return done;
}
