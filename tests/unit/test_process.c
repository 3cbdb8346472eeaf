/* SPDX-License-Identifier: MIT */
/*
 * test_process.c - sys/process: whose memory is this? Each test in a child of its
 * own, as the module remembers.
 */
#include "sys/process.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sys/sys.h"
#include "unit.h"

enum { THREADS = 8 };

/* The child ends well: by _exit(0). */
static void must_end_well(pid_t child)
{
	int status = -1;

	MUST(child > 0);
	MUST(waitpid(child, &status, 0) == child);
	MUST(status == 0);
}

/* A forked child that does that and ends. */
static pid_t fork_that(void (*body)(void))
{
	const pid_t child = fork_for_a_while();

	if (child == 0) {
		body();
		_exit(0);
	}
	return child;
}

/* The memory is this process's own, and the counters are new. */
static void must_be_own(void)
{
	MUST(process_owner() == sys_getpid());
	MUST(process_owner() == getpid());
	MUST(process_tid() == sys_gettid());
	MUST(atomic_load(&this_process.owner) == getpid());
	MUST(atomic_load(&this_process.born) != 0);
}

static void must_be_new(void)
{
	must_be_own();
	MUST(atomic_load(&this_process.seq) == 0);
	MUST(atomic_load(&this_process.lost) == 0);
	for (int i = 0; i < DIAG_SOCKETS; i++)
		MUST(atomic_load(&this_process.diag[i]) == 0);
}

static void use_counters(void)
{
	atomic_store(&this_process.seq, 42);
	atomic_store(&this_process.lost, 7);
	for (int i = 0; i < DIAG_SOCKETS; i++)
		atomic_store(&this_process.diag[i], 2);
}

/*
 * In a vfork child: what process_owner says there. The parent waits in the kernel
 * until the child has ended, so the two share the variables safely.
 */
static volatile pid_t owner_there, child_pid;

/* Apart: a register that is named in a system call would be one that vfork's return clobbers. */
static __attribute__((noinline)) void look_there(void)
{
	owner_there = process_owner();
	child_pid = sys_getpid();
}

static pid_t owner_in_vfork_child(void)
{
	pid_t child;

	owner_there = -1;
	process_lend(); /* as the hook of vfork does */
	child = vfork();
	if (child == 0) {
		look_there();
		_exit(0);
	}
	must_end_well(child);
	MUST(child_pid == child);
	return owner_there;
}

static int spawned(void *arg)
{
	*(volatile pid_t *)arg = process_owner();
	return 0;
}

/* The same in a child on a stack of its own, as posix_spawn makes it. */
static pid_t owner_in_spawned_child(void)
{
	enum { STACK = 65536 };
	static volatile pid_t owner;
	char stack[STACK] __attribute__((aligned(16)));

	owner = -1;
	process_lend();
	must_end_well(clone(spawned, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
			    (void *)(uintptr_t)&owner));
	return owner;
}

static void at_load_body(void *arg)
{
	(void)arg;
	MUST(process_init() == 0);
	must_be_new();
	use_counters();
	must_be_own();
	MUST(atomic_load(&this_process.seq) == 42);
}

/* At load the memory is claimed, and asking again changes nothing. */
static void at_load(void **state)
{
	(void)state;
	in_child(at_load_body, NULL);
}

static void *claim_at_once(void *arg)
{
	pthread_barrier_wait(arg);
	MUST(process_owner() == getpid());
	return (void *)(uintptr_t)atomic_load(&this_process.born);
}

/* Threads that claim at the same time all see one birth. */
static void claim_by_threads(void)
{
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	void *births[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, claim_at_once, &barrier) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], &births[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(births[i] == births[0]);
}

static void later_body(void *arg)
{
	(void)arg;
	MUST(process_init_later() == 0);
	MUST(owner_in_vfork_child() == 0);
	MUST(owner_in_spawned_child() == 0);
	MUST(atomic_load(&this_process.owner) == 0);
	must_be_new();
	use_counters();
	MUST(owner_in_vfork_child() == 0);
	must_end_well(fork_that(must_be_new));
	must_be_own();
	MUST(atomic_load(&this_process.seq) == 42);
}

/* Made when it is first needed, it is as if it had been made at load. */
static void made_later(void **state)
{
	(void)state;
	in_child(later_body, NULL);
}

static void later_in_child_body(void *arg)
{
	(void)arg;
	MUST(process_init_later() == 0);
	must_end_well(fork_that(must_be_new));
	MUST(atomic_load(&this_process.owner) == 0);
	must_be_new();
}

/* A child that needs it first makes its own alone. */
static void made_later_in_child(void **state)
{
	(void)state;
	in_child(later_in_child_body, NULL);
}

static void later_race_body(void *arg)
{
	(void)arg;
	MUST(process_init_later() == 0);
	for (int round = 0; round < 50; round++)
		must_end_well(fork_that(claim_by_threads));
}

/* Threads that need it first at the same time make one. */
static void made_later_by_threads(void **state)
{
	(void)state;
	in_child(later_race_body, NULL);
}

static void fork_body(void *arg)
{
	const int depth = *(int *)arg;
	const uint64_t parents_birth = atomic_load(&this_process.born);
	const pid_t child = fork_for_a_while();

	if (child == 0) {
		int less = depth - 1;

		must_be_new();
		MUST(atomic_load(&this_process.born) != parents_birth);
		use_counters();
		if (depth > 0)
			fork_body(&less);
		_exit(0);
	}
	must_end_well(child);
	must_be_own();
	MUST(atomic_load(&this_process.seq) == 42);
	MUST(atomic_load(&this_process.born) == parents_birth);
}

static void forks_body(void *arg)
{
	MUST(process_init() == 0);
	use_counters();
	fork_body(arg);
}

/* A forked child owns its memory and counts anew, its children too; the parent goes on. */
static void owner_in_fork_child(void **state)
{
	int depth = 3;

	(void)state;
	in_child(forks_body, &depth);
}

static void vfork_body(void *arg)
{
	(void)arg;
	MUST(process_init() == 0);
	use_counters();
	MUST(owner_in_vfork_child() == 0);
	MUST(owner_in_spawned_child() == 0);
	must_be_own();
	MUST(atomic_load(&this_process.seq) == 42);
}

/* A vfork child runs in its parent's memory: it owns nothing and changes nothing. */
static void owner_in_vforked_child(void **state)
{
	(void)state;
	in_child(vfork_body, NULL);
}

static void unclaimed_body(void *arg)
{
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	use_counters();
	child = fork_for_a_while();
	if (child == 0) {
		/* Nothing has been asked here yet: the page is zero, and nobody's. */
		MUST(atomic_load(&this_process.owner) == 0);
		MUST(owner_in_vfork_child() == 0);
		MUST(owner_in_spawned_child() == 0);
		MUST(atomic_load(&this_process.owner) == 0);
		must_be_new();
		MUST(owner_in_vfork_child() == 0);
		_exit(0);
	}
	must_end_well(child);
	must_be_own();
}

/* Also where its parent is a forked child that has not claimed its memory yet. */
static void vfork_before_claim(void **state)
{
	(void)state;
	in_child(unclaimed_body, NULL);
}

static void *thread_ids(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		MUST(process_owner() == getpid());
		MUST(process_tid() == sys_gettid());
		MUST(process_tid() != getpid());
	}
	return NULL;
}

static void run_threads(void *(*body)(void *arg))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, body, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
}

static void threads_body(void *arg)
{
	(void)arg;
	MUST(process_init() == 0);
	run_threads(thread_ids);
	must_be_own();
}

/* Each thread has its own id, all have the same owner. */
static void ids_of_threads(void **state)
{
	(void)state;
	in_child(threads_body, NULL);
}

static void *fork_from_thread(void *arg)
{
	pid_t child;

	MUST(process_tid() == sys_gettid()); /* remembered from here on */
	child = fork_for_a_while();
	if (child == 0) {
		must_be_new();
		MUST(process_tid() == getpid());
		MUST(owner_in_spawned_child() == 0);
		if (arg)
			run_threads(thread_ids);
		_exit(0);
	}
	must_end_well(child);
	MUST(process_tid() == sys_gettid());
	return NULL;
}

static void fork_from_threads_body(void *arg)
{
	pthread_t thread;

	MUST(process_init() == 0);
	run_threads(fork_from_thread);
	/* Alone: the allocator of a sanitizer may be locked where others fork beside. */
	MUST(pthread_create(&thread, NULL, fork_from_thread, arg) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	must_be_own();
}

/* In the child of a thread's fork that thread is the first one, with another id. */
static void fork_from_threads(void **state)
{
	in_child(fork_from_threads_body, state);
}

static void *vfork_from_thread(void *arg)
{
	(void)arg;
	MUST(owner_in_vfork_child() == 0);
	MUST(owner_in_spawned_child() == 0);
	MUST(process_owner() == getpid());
	MUST(process_tid() == sys_gettid());
	return NULL;
}

static void vfork_from_thread_body(void *arg)
{
	pthread_t thread;
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	MUST(pthread_create(&thread, NULL, vfork_from_thread, NULL) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	child = fork_for_a_while();
	if (child == 0) {
		/* Not claimed yet, and the thread that asks is not the first. */
		MUST(pthread_create(&thread, NULL, vfork_from_thread, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
		must_be_own();
		_exit(0);
	}
	must_end_well(child);
}

/* A vfork child of another thread than the first owns nothing either. */
static void vfork_from_threads(void **state)
{
	(void)state;
	in_child(vfork_from_thread_body, NULL);
}

static void race_body(void *arg)
{
	(void)arg;
	MUST(process_init() == 0);
	for (int round = 0; round < 50; round++)
		must_end_well(fork_that(claim_by_threads));
}

/* Threads that claim a new child's memory at the same time agree, on its birth too. */
static void claims_race(void **state)
{
	(void)state;
	in_child(race_body, NULL);
}

static void namespace_body(void *arg)
{
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	if (unshare(CLONE_NEWPID) < 0)
		return; /* not allowed here */
	child = fork_for_a_while();
	if (child == 0) {
		MUST(getpid() == 1);
		must_be_new();
		MUST(owner_in_spawned_child() == 0);
		_exit(0);
	}
	must_end_well(child);
	must_be_own();
}

/* The first process of a new pid namespace owns its memory under its new number. */
static void first_of_namespace(void **state)
{
	(void)state;
	in_child(namespace_body, NULL);
}

static void errno_body(void *arg)
{
	pid_t child;

	(void)arg;
	MUST(process_init() == 0);
	child = fork_for_a_while();
	if (child == 0) {
		errno = 1234;
		process_owner();
		process_tid();
		MUST(errno == 1234);
		_exit(0);
	}
	must_end_well(child);
}

/* errno is not touched, also where the memory is claimed anew. */
static void leaves_errno(void **state)
{
	(void)state;
	in_child(errno_body, NULL);
}

static void born_later(void)
{
	const uint32_t before = process_generation();

	MUST(process_owner() == getpid());
	MUST(process_generation() == before + 1);
	must_end_well(fork_that(must_be_new));
	MUST(process_generation() == before + 2);
	MUST(process_owner() == getpid());
	MUST(process_generation() == before + 2);
}

static void does_nothing(void)
{
}

static void generations_body(void *arg)
{
	(void)arg;
	MUST(process_generation() == 0); /* not counted yet */
	MUST(process_init() == 0);
	MUST(process_generation() == 1);
	must_end_well(fork_that(does_nothing));
	MUST(owner_in_vfork_child() == 0);
	MUST(process_generation() == 1);
	must_end_well(fork_that(born_later));
	MUST(process_generation() == 3);
}

/* Each birth is seen by all of the family, once. */
static void generations(void **state)
{
	(void)state;
	in_child(generations_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_load),
		cmocka_unit_test(made_later),
		cmocka_unit_test(made_later_in_child),
		cmocka_unit_test(made_later_by_threads),
		cmocka_unit_test(owner_in_fork_child),
		cmocka_unit_test(owner_in_vforked_child),
		cmocka_unit_test(vfork_before_claim),
		cmocka_unit_test(ids_of_threads),
		cmocka_unit_test(fork_from_threads),
		cmocka_unit_test(vfork_from_threads),
		cmocka_unit_test(claims_race),
		cmocka_unit_test(first_of_namespace),
		cmocka_unit_test(leaves_errno),
		cmocka_unit_test(generations),
	};

	process_use(pthread_self, pthread_getcpuclockid);
	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
