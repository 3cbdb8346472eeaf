/*
 * own.c - see own.h.
 */
#include "sys/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>

#include "sys/sys.h"

_Static_assert(DIAG_SOCKETS == 4, "own_fds is written out for four");
_Atomic(int) own_fds[OWN_COUNT] = {-1, -1, -1, -1, -1};
int own_lowest = INT_MAX;

/*
 * High is just below what the limit allows, but not above 4096: the kernel's
 * table of descriptors grows with the highest number, and each fork copies it.
 */
static int high_number(void)
{
	enum { ROOM = 16, HIGHEST = 4096 };
	struct rlimit64 limit;

	if (sys_getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > HIGHEST)
		return HIGHEST - ROOM;
	return limit.rlim_cur > 2 * ROOM ? (int)limit.rlim_cur - ROOM : (int)limit.rlim_cur / 2;
}

bool own_is_listed(int fd)
{
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		if (own_fd(slot) == fd)
			return true;
	return false;
}

/* A copy of fd at a high number, close-on-exec; -errno where there is no room. */
static int copy_high(int fd)
{
	const int from = high_number();
	const int high = sys_fcntl(fd, F_DUPFD_CLOEXEC, from);

	if (high >= 0 && from < own_lowest)
		own_lowest = from;
	return high;
}

int own_adopt(unsigned int slot, int fd)
{
	const int high = copy_high(fd);

	sys_close(fd);
	if (high >= 0)
		atomic_store_explicit(&own_fds[slot], high, memory_order_release);
	return high;
}

void own_forget(unsigned int slot)
{
	atomic_store_explicit(&own_fds[slot], -1, memory_order_release);
}

void own_move_away(int fd)
{
	for (unsigned int slot = 0; slot < OWN_COUNT; slot++) {
		if (own_fd(slot) != fd)
			continue;

		int number = fd;
		const int copy = copy_high(fd);
		const int high = copy < 0 ? -1 : copy; /* without room it is given up */

		/* A signal handler may have been here in between. */
		if (!atomic_compare_exchange_strong(&own_fds[slot], &number, high) && high >= 0)
			sys_close(high);
	}
}
