/* SPDX-License-Identifier: MIT */
/*
 * fetch.c - see fetch.h.
 */
#include "supervise/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "facts/endpoint.h"
#include "observe/fdtable.h"
#include "supervise/tracee.h"

/* A call is about two numbers, and what it has made; explanations ask a few more. */
enum { MOST = 64 };

static struct task *from;
static struct {
	int number, handle;
} fetched[MOST];
static unsigned int count;

void fetch_from(struct task *task)
{
	from = task;
}

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9: of this thread, which may have descriptors of its own */
#endif

static int open_thread(const struct task *task)
{
	int handle = (int)syscall(SYS_pidfd_open, task->tid, PIDFD_THREAD);

	if (handle < 0 && errno == EINVAL)
		handle = (int)syscall(SYS_pidfd_open, task->of->pid, 0);
	return handle;
}

/* By what was noted of it, else by /proc. */
static bool is_socket(int number, int *ret_error)
{
	const struct fd_note note = fdtable_get(number);
	char path[48], what[8];
	ssize_t len;

	if (note.cookie && !note.closed_ns)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", from->tid, number);
	len = readlink(path, what, sizeof(what));
	*ret_error = len < 0 && errno == ENOENT ? -EBADF : 0;
	return len == sizeof(what) && memcmp(what, "socket:[", sizeof(what)) == 0;
}

static int copy(int number, bool made)
{
	int error, handle;

	if (from->handle < 0)
		from->handle = open_thread(from);
	if (from->handle < 0)
		return -errno;
	if (!made && !is_socket(number, &error))
		return error ? error : from->handle;
	handle = (int)syscall(SYS_pidfd_getfd, from->handle, number, 0);
	return handle < 0 ? -errno : handle;
}

static int fetch(int number, bool made)
{
	int handle;

	for (unsigned int i = 0; i < count; i++)
		if (fetched[i].number == number)
			return fetched[i].handle;
	handle = number < 0 ? -EBADF : copy(number, made);
	if (handle < 0 || handle == from->handle)
		return handle;
	if (count == MOST) { /* the oldest has told what it knows */
		close(fetched[0].handle);
		memmove(fetched, fetched + 1, sizeof(fetched) - sizeof(fetched[0]));
		count--;
	}
	fetched[count].number = number;
	fetched[count++].handle = handle;
	return handle;
}

int fetch_number(int number)
{
	return fetch(number, false);
}

int fetch_made(int number)
{
	return fetch(number, true);
}

void fetch_give_back(void)
{
	while (count)
		close(fetched[--count].handle);
}

int fetch_for(const struct subject *about, int number)
{
	const int handle = number < 0 ? -EBADF : copy(number, false);

	(void)about; /* it is the one of the thread that is stopped */
	return handle >= 0 && handle == from->handle ? fcntl(handle, F_DUPFD_CLOEXEC, 0) : handle;
}

int fetch_peek(const struct subject *about, void *ret, const void *at, size_t len)
{
	(void)about;
	return fetch_memory(ret, (uintptr_t)at, len);
}

int fetch_memory(void *ret, uint64_t at, size_t len)
{
	return len ? tracee_read(from->tid, ret, at, len) : 0;
}

struct endpoint fetch_address(uint64_t addr, uint64_t len)
{
	union sock_addr read = {0};
	const uint32_t take = (uint32_t)len < sizeof(read) ? (uint32_t)len : sizeof(read);

	if ((uint32_t)len > sizeof(struct sockaddr_storage) || fetch_memory(&read, addr, take) < 0)
		return (struct endpoint){0};
	return endpoint_from(&read, take);
}

struct endpoint fetch_written_address(uint64_t addr, uint64_t len_at)
{
	uint32_t len;

	if (!addr || fetch_memory(&len, len_at, sizeof(len)) < 0)
		return (struct endpoint){0};
	return fetch_address(addr, len);
}
