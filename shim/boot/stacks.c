/*
 * stacks.c - libunwind: loaded only where stacks are asked for, and tried before
 * it is trusted.
 *
 * When it is first used it makes a pipe, with which it would read memory for a use
 * that is not ours (observe/unwind.h). It must not have one: the program would be
 * given other numbers, and later descriptors of the program's could come under the
 * numbers of the pipe. So its first use is here, while the limit of descriptors
 * is zero: it gets none, and does not mind.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "boot/boot.h"
#include "facts/callsite.h"
#include "facts/shim.h"
#include "observe/object.h"
#include "observe/unwind.h"
#include "observe/walk.h"
#include "sys/sys.h"

#ifdef __x86_64__

static bool look_up(void *library, const char *name, void *slot)
{
	void *address = dlsym(library, name);

	*(void **)slot = address;
	return address != NULL;
}

static const char *load(struct unwind *ret)
{
	void *library = dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return "libunwind-x86_64.so.8 can't be loaded";
#define LOOK_UP(name) look_up(library, "_Ux86_64_" #name, &ret->name)
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

static bool set_limit(uint64_t soft, const struct rlimit64 *old)
{
	const struct rlimit64 limit = {.rlim_cur = soft, .rlim_max = old->rlim_max};

	return sys_setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* The two numbers that a pipe made now would have. */
static bool next_numbers(int ret[2])
{
	for (int i = 0; i < 2; i++)
		ret[i] = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < 2; i++)
		if (ret[i] >= 0)
			sys_close(ret[i]);
	return ret[0] >= 0 && ret[1] >= 0;
}

/* From here at least the loader must be found, which called us. */
static bool walk_works(void)
{
	uint64_t frames[CALLSITE_FRAMES];

	return callsite_frames(walk_callers(CALLSITE_FRAMES), frames) > 0;
}

/* Once without any descriptor to be had; and again, when it could have them. */
static const char *try_out(const struct unwind *unwind)
{
	int before[2], after[2];
	struct rlimit64 limit;
	bool works;

	if (!next_numbers(before) || sys_getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    !set_limit(0, &limit))
		return "the limit of open files can't be set";
	works = walk_init(unwind) && walk_works();
	if (!set_limit(limit.rlim_cur, &limit))
		return "the limit of open files can't be set";
	if (!works)
		return "this libunwind works in another way";
	walk_forget();
	unwind_watch(before[0]);
	works = walk_works() && unwind_watch(-1);
	if (!works || !next_numbers(after) || memcmp(before, after, sizeof(before)) != 0)
		return "this libunwind wants descriptors";
	return NULL;
}

static const char *open_stacks(void)
{
	struct unwind unwind;
	const char *fault = load(&unwind);

	if (!fault && !find_objects())
		fault = "this libc has no _dl_find_object";
	return fault ? fault : try_out(&unwind);
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
		COMPLAIN("TCPSHIM_STACK: ", fault, "; no stacks");
		shim.set.stack = 0;
	}
	errno = errno_before;
}
