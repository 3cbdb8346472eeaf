/*
 * closings.c - see closings.h. The list lives in pages mapped for the call: it may
 * be long, and the caller's stack short.
 */
#include "observe/closings.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "facts/shim.h"
#include "observe/fdtable.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

enum { FIRST_ROOM = 32, LISTING_SIZE = 32768 };

/* Twice the room, or the first. */
static bool grow(struct closings *closings)
{
	const size_t room = closings->room ? 2 * closings->room : FIRST_ROOM;
	struct closing *list = sys_mmap_pages(room * sizeof(*list));

	if (sys_failed(list))
		return false;
	if (closings->room) {
		memcpy(list, closings->list, closings->count * sizeof(*list));
		sys_munmap(closings->list, closings->room * sizeof(*list));
	}
	closings->list = list;
	closings->room = room;
	return true;
}

static void consider(struct closings *closings, enum call_id call, int fd)
{
	if (own_is(fd) || (closings->count == closings->room && !grow(closings)))
		return;
	if (observe_closing(&closings->list[closings->count], call, fd))
		closings->count++;
}

/* The number that a name in /proc/self/fd stands for, -1 where it is none. */
static int number_of(const char *name)
{
	int number = 0;

	for (; *name; name++) {
		if (*name < '0' || *name > '9' || number > INT_MAX / 10 - 1)
			return -1;
		number = number * 10 + (*name - '0');
	}
	return number;
}

static void consider_listing(struct closings *closings, enum call_id call, const char *listing,
			     size_t len, unsigned int first, unsigned int last)
{
	for (size_t at = 0; at < len;) {
		const struct dirent64 *entry = (const void *)(listing + at);
		const int fd = number_of(entry->d_name);

		if (fd >= 0 && (unsigned int)fd >= first && (unsigned int)fd <= last)
			consider(closings, call, fd);
		at += entry->d_reclen;
	}
}

/* From /proc. False where it can't be listed. */
static bool find_listed(struct closings *closings, enum call_id call, unsigned int first,
			unsigned int last)
{
	const int dir =
		sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	char *listing = sys_mmap_pages(LISTING_SIZE);
	long len = -1;

	if (dir >= 0 && !sys_failed(listing))
		while ((len = sys_getdents64(dir, listing, LISTING_SIZE)) > 0)
			consider_listing(closings, call, listing, (size_t)len, first, last);
	if (!sys_failed(listing))
		sys_munmap(listing, LISTING_SIZE);
	if (dir >= 0)
		sys_close(dir);
	return len == 0;
}

static void find_seen(struct closings *closings, enum call_id call, unsigned int first,
		      unsigned int last)
{
	if (first > INT_MAX)
		return;
	for (int fd = fdtable_next((int)first); fd >= 0 && (unsigned int)fd <= last;
	     fd = fdtable_next(fd + 1))
		consider(closings, call, fd);
}

void closings_find(struct closings *ret, enum call_id call, unsigned int first, unsigned int last)
{
	*ret = (struct closings){0};
	if (!shim_logs(call) || !process_owner())
		return;
	if (!find_listed(ret, call, first, last) && ret->count == 0)
		find_seen(ret, call, first, last);
}

void closings_done(struct closings *closings)
{
	if (closings->room)
		sys_munmap(closings->list, closings->room * sizeof(*closings->list));
}
