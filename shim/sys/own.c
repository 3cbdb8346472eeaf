/*
 * own.c - see own.h.
 */
#include "sys/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sys/sys.h"

/* What tells one file from all others: an inode number alone is given again. */
struct identity {
	uint64_t inode, born_s;
	uint32_t born_ns, major, minor;
};

static struct own {
	_Atomic(int) number; /* plus one, so that zero is none */
	struct identity identity;
} own[OWN_COUNT];

int own_lowest = INT_MAX;

int own_number(unsigned int slot)
{
	return atomic_load_explicit(&own[slot].number, memory_order_acquire) - 1;
}

/* Apart from its callers: a struct statx is large. */
__attribute__((noinline)) static bool identify(int fd, struct identity *ret, uint64_t *ret_size)
{
	struct statx stat;

	if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_SIZE, &stat) < 0)
		return false;
	*ret_size = stat.stx_size;
	*ret = (struct identity){
		.inode = stat.stx_ino,
		.born_s = (uint64_t)stat.stx_btime.tv_sec,
		.born_ns = stat.stx_btime.tv_nsec,
		.major = stat.stx_dev_major,
		.minor = stat.stx_dev_minor,
	};
	return true;
}

static bool is_still(const struct own *entry, int fd, uint64_t *ret_size)
{
	const struct identity *was = &entry->identity;
	struct identity now;

	return identify(fd, &now, ret_size) && now.inode == was->inode &&
	       now.born_s == was->born_s && now.born_ns == was->born_ns &&
	       now.major == was->major && now.minor == was->minor;
}

bool own_is_really(int fd)
{
	uint64_t size;

	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		if (own_number(slot) == fd)
			return is_still(&own[slot], fd, &size);
	return false;
}

int own_checked_size(unsigned int slot, uint64_t *ret_size)
{
	const int fd = own_number(slot);
	int entry = fd + 1;

	if (fd < 0 || is_still(&own[slot], fd, ret_size))
		return fd;
	atomic_compare_exchange_strong(&own[slot].number, &entry, 0); /* given up */
	return -1;
}

int own_checked(unsigned int slot)
{
	uint64_t size;

	return own_checked_size(slot, &size);
}

/*
 * Where our numbers begin. Above the program's limit where it may be raised for a
 * moment: there they take no number from the program, and no loop of closes meets
 * them. But not above 4096: the kernel's table of descriptors grows with the
 * highest number, and each fork copies it.
 */
enum { ROOM = 16, HIGHEST = 4096, TOO_FEW = 64 };

static int high_number(const struct rlimit64 *limit, bool can_raise)
{
	if (limit->rlim_cur > HIGHEST)
		return HIGHEST - ROOM;
	if (can_raise)
		return (int)limit->rlim_cur;
	if (limit->rlim_cur > TOO_FEW)
		return (int)limit->rlim_cur - ROOM;
	return (int)limit->rlim_cur - 1; /* a single one, and not among the first three */
}

/* Let numbers above the limit be made; the old limit into *ret. False where it stays. */
static bool raise_limit(struct rlimit64 *ret)
{
	struct rlimit64 raised;

	if (sys_getrlimit(RLIMIT_NOFILE, ret) < 0)
		*ret = (struct rlimit64){.rlim_cur = RLIM64_INFINITY};
	raised = *ret;
	if (ret->rlim_cur > HIGHEST || ret->rlim_max < ret->rlim_cur + ROOM)
		return false;
	raised.rlim_cur += ROOM;
	return sys_setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

/* A copy of fd at a high number, or onto that number; close-on-exec. Or -errno. */
static int copy_high(int fd, int onto)
{
	struct rlimit64 limit;
	const bool raised = raise_limit(&limit);
	const int from = high_number(&limit, raised);
	int high = -EMFILE;

	if (onto >= 0)
		high = sys_dup3(fd, onto, O_CLOEXEC);
	else if (from > 2)
		high = sys_fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (raised)
		sys_setrlimit(RLIMIT_NOFILE, &limit);
	if (high >= 0 && high < own_lowest)
		own_lowest = high;
	return high;
}

int own_adopt(unsigned int slot, int fd, bool keep_number)
{
	const int high = copy_high(fd, keep_number ? own_checked(slot) : -1);
	uint64_t size;

	sys_close(fd);
	if (high < 0)
		return high;
	if (!identify(high, &own[slot].identity, &size)) {
		sys_close(high);
		return -EBADF;
	}
	atomic_store_explicit(&own[slot].number, high + 1, memory_order_release);
	return high;
}

void own_move_away(int fd)
{
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++) {
		if (own_number(slot) != fd)
			continue;

		int entry = fd + 1;
		const int copy = copy_high(fd, -1);
		const int high = copy < 0 ? -1 : copy; /* without room it is given up */

		/* A signal handler may have been here in between. */
		if (!atomic_compare_exchange_strong(&own[slot].number, &entry, high + 1) &&
		    high >= 0)
			sys_close(high);
	}
}
