/*
 * process.c - see process.h.
 */
#include "sys/process.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "sys/sys.h"

_Static_assert(sizeof(struct process) <= 4096, "one page is wiped, not two");

union process_page process_page __attribute__((aligned(4096)));

/* Weak: where libc keeps it in libpthread, that library is not ours to load. */
extern __typeof__(pthread_getcpuclockid) pthread_getcpuclockid __attribute__((weak));

/* Which life of the process the thread id belongs to: a forked child's differs. */
static __thread struct {
	uint64_t born;
	pid_t tid;
} self;

/*
 * True in a vfork child. libc remembers the thread id of the thread that runs;
 * fork corrects that in the child, vfork can't, for there it is the parent's.
 * libc shows it without a system call as the thread's CPU clock, whose number is
 * made of the complement of the id (man 3 clock_getcpuclockid, the kernel's
 * include/linux/posix-timers_types.h).
 */
static bool memory_is_borrowed(void)
{
	clockid_t clock;

	if (!pthread_getcpuclockid || pthread_getcpuclockid(pthread_self(), &clock) != 0)
		return false;
	return (pid_t) ~(clock >> 3) != sys_gettid();
}

static bool claim(pid_t pid)
{
	struct timespec now;
	uint64_t unborn = 0;
	pid_t nobody = 0;

	if (memory_is_borrowed())
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_compare_exchange_strong(&this_process.born, &unborn,
				       (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	return atomic_compare_exchange_strong(&this_process.owner, &nobody, pid) || nobody == pid;
}

int process_init(void)
{
	int rc = sys_madvise(&process_page, sizeof(process_page), MADV_WIPEONFORK);

	return rc < 0 ? rc : claim(sys_getpid()) ? 0 : -1;
}

pid_t process_owner(void)
{
	const pid_t pid = sys_getpid();
	const pid_t owner = atomic_load_explicit(&this_process.owner, memory_order_acquire);

	if (owner == pid)
		return pid;
	return owner == 0 && claim(pid) ? pid : 0;
}

pid_t process_tid(void)
{
	const uint64_t born = atomic_load_explicit(&this_process.born, memory_order_relaxed);

	if (self.born != born) {
		self.tid = sys_gettid();
		atomic_signal_fence(memory_order_seq_cst);
		self.born = born;
	}
	return self.tid;
}
