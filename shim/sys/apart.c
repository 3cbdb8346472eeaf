/* SPDX-License-Identifier: MIT */
/*
 * apart.c - see apart.h.
 *
 * A helper does the work, a thread to the kernel alone: libc does not know of it. It
 * has the caller's memory, thread-local memory included, and the caller stands still;
 * so it is the caller in all but its descriptors. It has no files of the program's
 * either: one that another thread closes meanwhile is closed.
 *
 * Its table is a copy of which all is closed at once; of the lowest numbers, whatever range is
 * asked for, the kernel makes copies all the same (dup_fd in fs/file.c), and to close one is what
 * any close is to the file: mqueue takes back what the process has asked for with mq_notify, FUSE
 * and NFS ask a server and wait. So where such a file is, nothing is done.
 *
 * A thread, since a process could be met by the program's waitpid. Not by CLONE_VFORK:
 * who is stopped while he waits for that is not seen to be stopped, and debuggers take
 * the helper for a process.
 */
#include "sys/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
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

/* The file systems of a disk tell what attributes they know, and those of memory have seals. */
static bool is_on_disk_or_in_memory(int fd, const struct statx *stat)
{
	return stat->stx_attributes_mask & STATX_ATTR_NODUMP || sys_fcntl(fd, F_GET_SEALS, 0) >= 0;
}

/* Null and its like, and terminals: the major numbers of include/uapi/linux/major.h. */
static bool is_plain_device(unsigned int major)
{
	enum { MEM = 1, TTY = 4, TTYAUX = 5, PTY_FIRST = 136, PTY_LAST = 143 };

	return major == MEM || major == TTY || major == TTYAUX ||
	       (major >= PTY_FIRST && major <= PTY_LAST);
}

/* Is a close of a copy nothing to the file, that is, has it no flush (struct file_operations)? */
static bool is_closed_quietly(int fd, const struct statx *stat)
{
	switch (stat->stx_mode & S_IFMT) {
	case S_IFREG:
		return is_on_disk_or_in_memory(fd, stat);
	case S_IFCHR:
		return is_plain_device(stat->stx_rdev_major);
	default: /* sockets, pipes, folders, disks, what has no name (eventfd, epoll) */
		return true;
	}
}

/*
 * As many as the kernel copies at least (NR_OPEN_DEFAULT). No file system asks its server here but
 * 9p without a cache, which takes no notice of how it is asked.
 */
static bool copies_are_closed_quietly(void)
{
	enum { COPIED = 64, HOW = AT_EMPTY_PATH | AT_STATX_DONT_SYNC };

	for (int fd = 0; fd < COPIED; fd++) {
		struct statx stat;
		const int rc = sys_statx(fd, "", HOW, STATX_TYPE, &stat);

		if (rc != -EBADF && (rc < 0 || !is_closed_quietly(fd, &stat)))
			return false;
	}
	return true;
}

static void live(struct run *run)
{
	long rc;

	if (!copies_are_closed_quietly())
		return;
	rc = SYS3(SYS_close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE);
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
