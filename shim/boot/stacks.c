/* SPDX-License-Identifier: MIT */
/*
 * stacks.c - libunwind: loaded only where stacks are asked for, and tried before
 * it is trusted.
 *
 * When it is first used it makes a pipe, or one a thread, with which it would read
 * memory for a use that is not ours (observe/unwind.h), and looks whether mincore
 * works. It must not: the program would be given other numbers, later descriptors of
 * the program's could come under the numbers of the pipe, and a service that may not
 * make such a call would be killed. So what of libc leads to such things is refused to
 * it before its first use. Of the kernel all that is left to it is memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "boot/boot.h"
#include "facts/callsite.h"
#include "facts/shim.h"
#include "hooks/libc.h"
#include "observe/object.h"
#include "observe/unwind.h"
#include "observe/walk.h"
#include "sys/sys.h"

#ifdef ARCH_LIBUNWIND

static bool look_up(void *library, const char *name, void *slot)
{
	void *address = dlsym(library, name);

	*(void **)slot = address;
	return address != NULL;
}

/* To what makes, uses or closes a descriptor, and what asks whether memory is there. */
static long refuse(void)
{
	errno = ENOSYS;
	return -1;
}

/* To what sets the signal mask: whoever calls libunwind has blocked all signals. */
static long agree(void)
{
	return 0;
}

/*
 * Its memory is no part of the program's heap, and zero without being written. It
 * takes some at its first use, and gives none back.
 */
static void *give(size_t n, size_t size)
{
	void *room = sys_mmap_pages(n * size);

	return sys_failed(room) ? NULL : room;
}

static void keep(void *room)
{
	(void)room;
}

#define AS(function) (void (*)(void))(function)

static const struct import answers[] = {
	{"pipe", AS(refuse)},
	{"pipe2", AS(refuse)},
	{"open", AS(refuse)},
	{"open64", AS(refuse)},
	{"openat", AS(refuse)},
	{"openat64", AS(refuse)},
	{"socketpair", AS(refuse)},
	{"eventfd", AS(refuse)},
	{"memfd_create", AS(refuse)},
	{"fcntl", AS(refuse)},
	{"fcntl64", AS(refuse)},
	{"read", AS(refuse)},
	{"write", AS(refuse)},
	{"close", AS(refuse)},
	{"fstat", AS(refuse)},
	{"stat", AS(refuse)},
	{"syscall", AS(refuse)},
	{"mincore", AS(refuse)},
	{"msync", AS(refuse)},
	{"process_vm_readv", AS(refuse)},
	{"sigprocmask", AS(agree)},
	{"pthread_sigmask", AS(agree)},
	{"calloc", AS(give)},
	{"free", AS(keep)},
	{NULL, NULL},
};

static const char *load(struct unwind *ret)
{
	void *library = libc.dlopen(ARCH_LIBUNWIND, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return ARCH_LIBUNWIND " can't be loaded";
#define LOOK_UP(name) look_up(library, ARCH_LIBUNWIND_PREFIX #name, &ret->name)
	if (!LOOK_UP(create_addr_space) || !LOOK_UP(init_remote) || !LOOK_UP(get_reg) ||
	    !LOOK_UP(reg_states_iterate) || !LOOK_UP(apply_reg_state) ||
	    !LOOK_UP(dwarf_search_unwind_table))
		return "this libunwind is too old";
#undef LOOK_UP
	return NULL;
}

static bool find_objects(void)
{
	int (*find)(void *, struct dl_found *);
	char path[PATH_MAX];
	const long len = sys_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);
	const char *base = shim.prog;

	if (len > 0) {
		path[len] = '\0';
		base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	}
	if (!look_up(RTLD_DEFAULT, "_dl_find_object", &find))
		return false;
	object_init(find, base);
	return true;
}

static bool confine(const struct unwind *unwind)
{
	struct sys_pages pages = {0};
	struct object library;

	return object_find((uint64_t)(uintptr_t)unwind->init_remote, &library, &pages) &&
	       imports_answer(library.link_map, answers);
}

/* The number that a descriptor made now would have. */
static int next_number(void)
{
	const int number = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (number >= 0)
		sys_close(number);
	return number;
}

/*
 * From here at least the loader must be found, which called us. While it is, and
 * afterwards, the next free number must stay free.
 */
static const char *try_out(const struct unwind *unwind)
{
	const int number = next_number();
	uint64_t frames[CALLSITE_FRAMES];
	bool works;
	int rc;

	if (number == -EMFILE || number == -ENFILE)
		return "no descriptor is left to try libunwind with";
	if (number < 0)
		return "no socket can be made, to try whether libunwind takes descriptors";
	unwind_watch(number);
	rc = walk_init(unwind);
	works = rc == 0 && callsite_frames(walk_callers(1), frames) > 0;
	if (!unwind_watch(-1) || next_number() != number)
		return "this libunwind wants descriptors";
	if (rc == -ENOMEM)
		return "no memory for the stacks (ENOMEM)";
	return works ? NULL : "this libunwind works in another way";
}

static const char *open_stacks(void)
{
	struct unwind unwind;
	const char *fault = load(&unwind);

	if (fault)
		return fault;
	if (!find_objects())
		return "this libc has no _dl_find_object";
	if (!confine(&unwind))
		return "this libunwind can't be kept from making descriptors";
	return try_out(&unwind);
}

#else

static const char *open_stacks(void)
{
	return "only on x86-64";
}

#endif

void stacks_open(void)
{
	const int errno_before = errno;
	const char *fault = open_stacks();

	if (fault) {
		COMPLAIN("TCPSHIM_STACK", &shim.set, "TCPSHIM_STACK: ", fault, "; no stacks");
		shim.set.stack = 0;
	}
	errno = errno_before;
}
