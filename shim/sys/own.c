/* SPDX-License-Identifier: MIT */
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
	uint16_t type; /* S_IFMT: not compared, known by the way */
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
__attribute__((noinline)) static int identify(int fd, struct identity *ret, uint64_t *ret_size)
{
	struct statx stat;
	const int rc = sys_statx(fd, "", AT_EMPTY_PATH,
				 STATX_TYPE | STATX_INO | STATX_BTIME | STATX_SIZE, &stat);

	if (rc < 0)
		return rc;
	*ret_size = stat.stx_size;
	*ret = (struct identity){
		.inode = stat.stx_ino,
		.born_s = (uint64_t)stat.stx_btime.tv_sec,
		.born_ns = stat.stx_btime.tv_nsec,
		.major = stat.stx_dev_major,
		.minor = stat.stx_dev_minor,
		.type = stat.stx_mode & S_IFMT,
	};
	return 0;
}

/* An error that is no word on the number (EIO, ESTALE) may pass. */
enum answer { NO, YES, NOT_KNOWN };

/* Within its callers: a hook's stack has no room for another frame. */
static inline __attribute__((always_inline)) enum answer is_still(const struct own *entry, int fd,
								  uint64_t *ret_size)
{
	const struct identity *was = &entry->identity;
	struct identity now;
	const int rc = identify(fd, &now, ret_size);

	if (rc < 0)
		return rc == -EBADF ? NO : NOT_KNOWN;
	return now.inode == was->inode && now.born_s == was->born_s &&
	       now.born_ns == was->born_ns && now.major == was->major && now.minor == was->minor;
}

bool own_is_really(int fd)
{
	uint64_t size;

	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		if (own_number(slot) == fd)
			return is_still(&own[slot], fd, &size) != NO;
	return false;
}

/* From here on the number is none of ours. False where that was so already. */
static bool give_up(struct own *entry, int fd)
{
	int number = fd + 1;

	return atomic_compare_exchange_strong(&entry->number, &number, 0);
}

int own_checked_size(unsigned int slot, uint64_t *ret_size)
{
	const int fd = own_number(slot);
	const enum answer still = fd < 0 ? NO : is_still(&own[slot], fd, ret_size);

	if (still == NO && fd >= 0)
		give_up(&own[slot], fd);
	return still == YES ? fd : -1;
}

int own_checked(unsigned int slot)
{
	uint64_t size;

	/* In a supervisor there is nobody who could take them away. */
	return process_of_supervisor ? own_number(slot) : own_checked_size(slot, &size);
}

/*
 * Where our numbers begin. At load above the program's limit, and above what is
 * commonly the limit where the program's was lowered: there they take no number
 * from the program, and who tries all numbers does not meet them. But not above
 * 4096: the kernel's table of descriptors grows with the highest number, and each
 * fork copies it. Where there is no such room, as high as the limit lets them be.
 */
enum { ROOM = 16, COMMON = 1024, HIGHEST = 4096, TOO_FEW = 64 };

static struct rlimit64 at_load;
static bool loading;
static int lowest_at_load;   /* that the kernel gave us */
static int raised_from = -1; /* at load: the first number above the program's limit */

void own_load_begin(void)
{
	struct rlimit64 raised;

	loading = true;
	lowest_at_load = INT_MAX;
	if (sys_getrlimit(RLIMIT_NOFILE, &at_load) < 0)
		at_load.rlim_cur = RLIM64_INFINITY;
	if (at_load.rlim_cur > HIGHEST || at_load.rlim_max < at_load.rlim_cur + ROOM)
		return;
	raised = at_load;
	raised.rlim_cur = ROOM + (at_load.rlim_cur < COMMON ? COMMON : at_load.rlim_cur);
	if (raised.rlim_cur > at_load.rlim_max)
		raised.rlim_cur = at_load.rlim_max;
	if (sys_setrlimit(RLIMIT_NOFILE, &raised) == 0)
		raised_from = (int)raised.rlim_cur - ROOM;
}

void own_load_end(void)
{
	if (raised_from >= 0)
		sys_setrlimit(RLIMIT_NOFILE, &at_load);
	raised_from = -1;
	loading = false;
	if (lowest_at_load == INT_MAX)
		lowest_at_load = 0;
}

unsigned int own_type(unsigned int slot)
{
	return own[slot].identity.type;
}

bool own_was_open_at_load(int fd)
{
	return fd >= 0 && fd < lowest_at_load;
}

static uint64_t soft_limit(void)
{
	struct rlimit64 limit;

	if (loading)
		return at_load.rlim_cur;
	return sys_getrlimit(RLIMIT_NOFILE, &limit) < 0 ? RLIM64_INFINITY : limit.rlim_cur;
}

static int high_number(void)
{
	const uint64_t limit = soft_limit();

	if (raised_from >= 0)
		return raised_from;
	if (limit > HIGHEST)
		return HIGHEST - ROOM;
	if (limit > TOO_FEW)
		return (int)limit - ROOM;
	return (int)limit - 1; /* a single one, and not among the first three */
}

/* A copy of fd at a high number, close-on-exec. Or -errno. */
static int copy_high(int fd)
{
	const int from = high_number();
	const int high = from > 2 ? sys_fcntl(fd, F_DUPFD_CLOEXEC, from) : -EMFILE;

	if (high >= 0 && high < own_lowest)
		own_lowest = high;
	return high;
}

void own_close(unsigned int slot)
{
	const int fd = own_checked(slot);

	if (fd >= 0 && give_up(&own[slot], fd))
		sys_close(fd);
}

/* (Apart, too: what it needs is not there while the one before is closed.) */
__attribute__((noinline)) static int take_over(unsigned int slot, int fd)
{
	uint64_t size;
	int high, rc;

	if (loading && fd < lowest_at_load)
		lowest_at_load = fd;
	high = copy_high(fd);
	sys_close(fd);
	if (high < 0)
		return high;
	rc = identify(high, &own[slot].identity, &size);
	if (rc < 0) {
		sys_close(high);
		return rc;
	}
	atomic_store_explicit(&own[slot].number, high + 1, memory_order_release);
	return high;
}

int own_adopt(unsigned int slot, int fd)
{
	own_close(slot);
	return take_over(slot, fd);
}

bool own_move_away(int fd)
{
	if ((uint64_t)fd >= soft_limit())
		return false;
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++) {
		if (own_number(slot) != fd)
			continue;

		int entry = fd + 1;
		const int copy = copy_high(fd);
		const int high = copy < 0 ? -1 : copy; /* without room it is given up */

		/* A signal handler may have been here in between. */
		if (!atomic_compare_exchange_strong(&own[slot].number, &entry, high + 1) &&
		    high >= 0)
			sys_close(high);
	}
	return true;
}
