/* SPDX-License-Identifier: MIT */
/*
 * process.c - see process.h.
 */
#include "sys/process.h"

#include <errno.h>
#include <sys/mman.h>

#include "sys/clock.h"
#include "sys/sys.h"

/* Always zero: nobody's, as the page is when a fork has wiped it. */
static struct process not_ready;
_Atomic(struct process *) process_page = &not_ready;

/* One for the family: how many have been born into it. NULL: not counted. */
static _Atomic(uint32_t) *births;

/* A page that forks wipe, where there is none yet. Who comes second throws his away. */
static int make_page(void)
{
	struct process *page, *none = &not_ready;
	int rc;

	if (atomic_load(&process_page) != &not_ready)
		return 0;
	page = sys_mmap_pages(sizeof(*page));
	if (sys_failed(page))
		return (int)(intptr_t)page;
	rc = sys_madvise(page, sizeof(*page), MADV_WIPEONFORK);
	if (rc < 0 || !atomic_compare_exchange_strong(&process_page, &none, page))
		sys_munmap(page, sizeof(*page));
	return rc;
}

struct process *process_of_supervisor;

void process_set(struct process *other)
{
	struct process *ours = &our_process;

	process_of_supervisor = other ? ours : NULL;
	atomic_store(&process_page, other ? other : ours);
}

/* libc's own; NULL where it has none. */
static thread_self *libc_self;
static thread_clock *libc_clock;

void process_use(thread_self *self_of_libc, thread_clock *clock_of_libc)
{
	libc_self = self_of_libc;
	libc_clock = clock_of_libc;
}

/* Which life of the process the thread id belongs to: a forked child's differs. */
static __thread struct {
	uint64_t born;
	pid_t tid;
} self;

/*
 * Is the page that a fork has wiped seen by a vfork child of the forked one? libc
 * remembers the thread id of the thread that runs; fork corrects that in the
 * child, vfork can't, for there it is the parent's. libc shows it without a system
 * call as the thread's CPU clock, whose number is made of the complement of the id
 * (the kernel's include/linux/posix-timers_types.h).
 * A fork by a bare system call leaves it uncorrected as well: then the kernel is
 * asked whether parent and child share their memory (man 2 kcmp), and where it
 * won't say, nothing is touched.
 */
static bool memory_is_borrowed(pid_t pid)
{
	enum { KCMP_VM = 1 }; /* linux/kcmp.h */
	clockid_t clock;

	if (libc_self && libc_clock && libc_clock(libc_self(), &clock) == 0 &&
	    (pid_t) ~(clock >> 3) == sys_gettid())
		return false;
	return SYS6(SYS_kcmp, pid, SYS3(SYS_getppid, 0, 0, 0), KCMP_VM, 0, 0, 0) <= 0;
}

/* Zero is a life that has not begun. */
static uint64_t now(void)
{
	const uint64_t ns = clock_ns(CLOCK_MONOTONIC);

	return ns ? ns : 1;
}

void process_count_birth(void)
{
	if (births)
		atomic_fetch_add(births, 1);
}

static bool claim(pid_t pid)
{
	uint64_t unborn = 0;
	pid_t nobody = 0;

	if (memory_is_borrowed(pid) || make_page() < 0)
		return false;
	if (!atomic_load(&this_process.born))
		process_count_birth();
	atomic_compare_exchange_strong(&this_process.born, &unborn, now());
	return atomic_compare_exchange_strong(&this_process.owner, &nobody, pid) || nobody == pid;
}

/* Only a filter or a tracer can refuse it; once more, since all depends on it. Or -errno. */
static pid_t own_pid(void)
{
	const pid_t pid = sys_getpid();

	return pid < 0 ? sys_getpid() : pid;
}

int process_init(void)
{
	const int rc = make_page();
	const pid_t pid = own_pid();

	if (rc < 0 || pid < 0)
		return rc < 0 ? rc : pid;
	atomic_store(&this_process.owner, pid);
	atomic_store(&this_process.born, now());

	void *shared = sys_mmap_shared(sizeof(*births));

	if (!sys_failed(shared))
		births = shared;
	return 0;
}

uint32_t process_generation(void)
{
	return births ? atomic_load(births) + 1 : 0;
}

int process_init_later(void)
{
	return sys_madvise(NULL, 0, MADV_WIPEONFORK); /* of nothing: EINVAL where unknown */
}

atomic_bool process_is_lent;

pid_t process_owner(void)
{
	const pid_t owner = atomic_load_explicit(&this_process.owner, memory_order_acquire);

	if (owner && !atomic_load_explicit(&process_is_lent, memory_order_relaxed))
		return owner;

	const pid_t pid = own_pid();

	if (owner == pid)
		return pid;
	return owner == 0 && pid > 0 && claim(pid) ? pid : 0;
}

pid_t process_tid(void)
{
	const pid_t others = atomic_load_explicit(&this_process.tid, memory_order_relaxed);
	const uint64_t born = atomic_load_explicit(&this_process.born, memory_order_relaxed);

	if (others)
		return others;
	if (self.born != born) {
		const pid_t tid = sys_gettid();

		if (tid < 0)
			return 0;
		self.tid = tid;
		atomic_signal_fence(memory_order_seq_cst);
		self.born = born;
	}
	return self.tid;
}
