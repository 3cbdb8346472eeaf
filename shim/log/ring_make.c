/* SPDX-License-Identifier: MIT */
/*
 * ring_make.c - see ring_make.h.
 */
#include "log/ring_make.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "facts/description.h"
#include "facts/ring_file.h"
#include "sys/sys.h"
#include "sys/work.h"

struct ring_head this_ring;

/* Over the limit of the file size a write would raise SIGXFSZ, wherever in the file it is. */
bool ring_limit_allows(void)
{
	struct rlimit64 limit;

	return sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 || this_ring.size <= limit.rlim_cur;
}

/* Set at load: a stack is small where a head is mended. */
static struct iovec parts_of_head[2] = {{&this_ring, sizeof(this_ring)}};

/* With its description, in one piece: nobody finds the one without the other. */
static int write_head(int fd)
{
	const long rc = sys_pwritev(fd, parts_of_head, 2, 0);

	if (rc < 0)
		return (int)rc;
	return rc == RING_TIMES_AT ? 0 : -ENOSPC;
}

/*
 * While the file is made, or its head is written: at load, and where the file must be mended.
 * (Apart, as others here: a stack is small.)
 */
static __attribute__((noinline)) int lock_head(int fd, short type)
{
	const struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_len = RING_TIMES_AT};

	return sys_fcntl(fd, F_SETLK, (long)&range);
}

/* Where the file system knows no locks, there are none. */
static bool has_another(int locked)
{
	return locked == -EAGAIN || locked == -EACCES;
}

static void unlock_head(int fd, int locked)
{
	if (locked == 0)
		lock_head(fd, F_UNLCK);
}

/* Then its head is not to be believed: where there is no room the file will be empty again. */
static bool is_being_made(int fd)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = RING_TIMES_AT};

	return sys_fcntl(fd, F_GETLK, (long)&range) == 0 && range.l_type == F_WRLCK;
}

/* For a file system that gives blocks only to what is written. */
static int fill(int fd)
{
	void *zeros = sys_mmap_pages(WORK_SIZE);
	uint64_t at = RING_TIMES_AT;
	long rc = 1;

	if (sys_failed(zeros))
		return -ENOMEM;
	for (; at < this_ring.size && rc > 0; at += rc > 0 ? (uint64_t)rc : 0) {
		const uint64_t rest = this_ring.size - at;

		rc = sys_pwrite(fd, zeros, rest < WORK_SIZE ? (size_t)rest : WORK_SIZE,
				(int64_t)at);
	}
	sys_munmap(zeros, WORK_SIZE);
	return rc < 0 ? (int)rc : at < this_ring.size ? -ENOSPC : 0;
}

/* All blocks of the file; a signal may interrupt it. (Apart: a stack is small.) */
static __attribute__((noinline)) int allocate(int fd)
{
	enum { TRIES = 100 };
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++)
		rc = sys_fallocate(fd, 0, 0, (int64_t)this_ring.size);
	return rc;
}

/* All of it, or nothing. */
static int make_whole(int fd)
{
	int rc = write_head(fd);

	if (rc == 0)
		rc = allocate(fd);
	if (rc == -EOPNOTSUPP)
		rc = fill(fd);
	if (rc < 0)
		sys_ftruncate(fd, 0);
	return rc;
}

/*
 * Of those that find the file empty one makes it: another one may be of another build, and its
 * records would be lost under ours. -EBUSY: somebody does, or has done so.
 */
static int make_new(int fd, uint64_t size)
{
	char first;
	int rc, locked;

	this_ring = ring_head_of(size);
	if (!ring_limit_allows())
		return -EFBIG;
	locked = lock_head(fd, F_WRLCK);
	if (has_another(locked))
		return -EBUSY;
	rc = (int)sys_pread(fd, &first, 1, 0);
	rc = rc > 0 ? -EBUSY : rc < 0 ? rc : make_whole(fd);
	unlock_head(fd, locked);
	return rc;
}

/* Did it become another build's, when it was empty? Of ours a truncation leaves zeros. */
static __attribute__((noinline)) bool is_anothers(int fd)
{
	const int64_t at = offsetof(struct ring_head, layout);
	uint8_t layout[sizeof(this_ring.layout)] = {0};

	sys_pread(fd, layout, sizeof(layout), at);
	for (size_t i = 0; i < sizeof(layout); i++)
		if (layout[i] && layout[i] != ((const uint8_t *)&this_ring)[(size_t)at + i])
			return true;
	return false;
}

/* (Apart, as above.) */
static __attribute__((noinline)) int mend_head_once(int fd)
{
	const int locked = lock_head(fd, F_WRLCK);
	int rc = -EBUSY;

	if (!has_another(locked))
		rc = is_anothers(fd) ? -EPROTO : write_head(fd);
	unlock_head(fd, locked);
	return rc;
}

/*
 * Others hold it for microseconds; who makes the file, or is stopped there, is waited for once, for
 * 20 ms, and not again by the next thousand: this is in a call of the program's. All signals are
 * blocked: a handler might not return to unlock it.
 */
static __attribute__((noinline)) int mend_head(int fd)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	static _Atomic uint32_t in_vain;
	enum { TRIES = 20, NEXT = 1000 };
	const bool patient = atomic_load(&in_vain) % NEXT == 0;
	int rc = mend_head_once(fd);

	for (int i = 0; i < TRIES && rc == -EBUSY; i++) {
		if (patient)
			sys_sleep(&moment);
		rc = mend_head_once(fd);
	}
	if (rc == -EBUSY)
		atomic_fetch_add(&in_vain, 1);
	else
		atomic_store(&in_vain, 0);
	return rc;
}

/*
 * Somebody has truncated the file: it is a ring again, with all its blocks where
 * the disk has them to give. The head comes first: a kill must not leave a whole file
 * without one. And last: it may be truncated in between.
 */
bool ring_mend(int fd)
{
	static const uint64_t all = ~UINT64_C(0);
	uint64_t old;
	int rc;

	if (sys_sigprocmask(SIG_SETMASK, &all, &old) < 0)
		return false;
	for (bool again = false;; again = true) {
		rc = mend_head(fd);
		if (again || rc == -EPROTO || rc == -EBUSY)
			break;
		if (allocate(fd) < 0)
			sys_ftruncate(fd, (int64_t)this_ring.size);
	}
	sys_sigprocmask(SIG_SETMASK, &old, NULL);
	return rc == 0;
}

/* Does another process have a chunk of such a ring? */
static bool is_held(int fd, const struct ring_head *head)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = RING_DATA_AT};

	return sys_fcntl(fd, F_GETLK, (long)&range) == 0 && range.l_type == F_WRLCK &&
	       (uint64_t)range.l_len == head->chunk_size &&
	       (uint64_t)(range.l_start - RING_DATA_AT) % head->chunk_size == 0;
}

/*
 * What a truncation leaves of the front of that ring: its first bytes, and behind them zeros
 * where a writer let the file grow again and was killed. Where not even the name is left, or less
 * than a head, it is a ring only while a process records into it: files of others begin with
 * zeros, too.
 */
static bool is_rest_of(const struct ring_head *head, int fd, const char *front, size_t len)
{
	const char *description = (const char *)ring_description();
	size_t kept = 0;

	while (kept < len &&
	       front[kept] == (kept < sizeof(*head) ? ((const char *)head)[kept]
						    : description[kept - sizeof(*head)]))
		kept++;
	for (size_t i = kept; i < len; i++)
		if (front[i])
			return false;
	return (kept >= sizeof(RING_NAME) && len >= sizeof(*head)) || is_held(fd, head);
}

/*
 * Is that front, of a file of size bytes, one of ours? 0, 1 where it must be mended, or
 * -errno. asked: for how large a ring, where the file does not tell.
 */
static int judge_front(int fd, const char *front, size_t len, uint64_t size, uint64_t asked)
{
	const uint64_t sizes[] = {size, asked};

	if (len >= sizeof(this_ring)) {
		memcpy(&this_ring, front, sizeof(this_ring));
		if (ring_head_is_ours(&this_ring))
			return len == RING_TIMES_AT &&
			       memcmp(front + sizeof(this_ring), ring_description(),
				      RING_DESCRIPTION) != 0;
	}
	for (int i = 0; i < 2; i++) {
		if (sizes[i] < RING_SIZE_LEAST || sizes[i] > RING_SIZE_MOST)
			continue;
		this_ring = ring_head_of(sizes[i]);
		if ((i == 1 || this_ring.size == size) && is_rest_of(&this_ring, fd, front, len))
			return 1;
	}
	return len >= sizeof(this_ring) && memcmp(front, RING_NAME, sizeof(RING_NAME)) == 0
		       ? -EPROTO
		       : -EBADMSG;
}

static int recognise(int fd, uint64_t size, uint64_t asked)
{
	struct work work;
	long got;
	int rc;

	if (!work_begin(&work))
		return -ENOMEM;
	got = sys_pread(fd, work.room, RING_TIMES_AT, 0);
	rc = got < 0 ? (int)got : judge_front(fd, work.room, (size_t)got, size, asked);
	work_end(&work);
	if (got == 0)
		return make_new(fd, asked); /* truncated a moment ago */
	if (rc != 1)
		return rc;
	if (!ring_limit_allows())
		return -EFBIG;
	return ring_mend(fd) ? 0 : -ENOSPC;
}

/*
 * Can records not be written there at all, or a chunk not be locked? It must be known at load, as
 * long as it can be told. Return 0 or -errno.
 */
static int refused(int fd)
{
	const long written = sys_pwrite(fd, "", 0, 0);
	const int locked = lock_head(fd, F_WRLCK);

	unlock_head(fd, locked);
	if (written < 0)
		return (int)written;
	return has_another(locked) ? 0 : locked;
}

/* -EBUSY: somebody makes it. */
static int make_or_recognise(int fd, uint64_t size)
{
	struct statx stat;
	int rc = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &stat);

	if (rc == 0 && !S_ISREG(stat.stx_mode))
		rc = -EBADMSG;
	if (rc == 0)
		rc = refused(fd);
	if (rc < 0)
		return rc;
	if (!stat.stx_size)
		return make_new(fd, size);
	return is_being_made(fd) ? -EBUSY : recognise(fd, stat.stx_size, size);
}

/* Who makes it needs a millisecond; -EBUSY: is stopped in the midst of it. */
int ring_make(int fd, uint64_t size)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	enum { TRIES = 1000 };
	int rc;

	work_init();
	parts_of_head[1] = (struct iovec){(void *)(uintptr_t)ring_description(), RING_DESCRIPTION};
	rc = make_or_recognise(fd, size);
	for (int i = 0; i < TRIES && rc == -EBUSY; i++) {
		sys_sleep(&moment);
		rc = make_or_recognise(fd, size);
	}
	return rc;
}

/* Asked twice: of a sick disk the one may fail. */
static bool is_empty(int fd)
{
	struct statx stat;
	char first;

	if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stat) == 0)
		return !stat.stx_size;
	return sys_pread(fd, &first, 1, 0) == 0;
}

void ring_unmake(const char *path)
{
	const int fd = sys_openat(AT_FDCWD, path,
				  O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!has_another(lock_head(fd, F_WRLCK)) && is_empty(fd))
		sys_unlinkat(AT_FDCWD, path);
	sys_close(fd); /* and its lock */
}

bool ring_is_at(int fd, const char *path)
{
	struct statx opened, there;
	const int rc = sys_statx(AT_FDCWD, path, 0, STATX_INO, &there);

	if (rc < 0 || sys_statx(fd, "", AT_EMPTY_PATH, STATX_INO, &opened) < 0)
		return rc != -ENOENT;
	return opened.stx_ino == there.stx_ino && opened.stx_dev_major == there.stx_dev_major &&
	       opened.stx_dev_minor == there.stx_dev_minor;
}
