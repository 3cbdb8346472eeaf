/*
 * ring_make.c - see ring_make.h.
 */
#include "log/ring_make.h"

#include <errno.h>
#include <fcntl.h>
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

/* With its description, in one piece: nobody finds the one without the other. */
static int write_head(int fd)
{
	const struct iovec parts[] = {
		{&this_ring, sizeof(this_ring)},
		{(void *)(uintptr_t)ring_description(), RING_DESCRIPTION},
	};
	const long rc = sys_pwritev(fd, parts, 2, 0);

	if (rc < 0)
		return (int)rc;
	return rc == RING_TIMES_AT ? 0 : -ENOSPC;
}

/* Held for no longer than a look and a write, at load. */
static int lock_head(int fd, short type)
{
	const struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_len = RING_TIMES_AT};

	return sys_fcntl(fd, F_SETLK, (long)&range);
}

/*
 * Of those that find the file empty one writes the head: another one may be of another build, and
 * its records would be lost under ours. -EBUSY: somebody does, or has done so.
 */
static int write_first_head(int fd)
{
	const int locked = lock_head(fd, F_WRLCK);
	char first;
	int rc;

	if (locked == -EAGAIN || locked == -EACCES)
		return -EBUSY;
	rc = (int)sys_pread(fd, &first, 1, 0);
	rc = rc > 0 ? -EBUSY : rc < 0 ? rc : write_head(fd);
	if (locked == 0)
		lock_head(fd, F_UNLCK);
	return rc;
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

		rc = sys_pwrite(fd, zeros, rest < WORK_SIZE ? rest : WORK_SIZE, (int64_t)at);
	}
	sys_munmap(zeros, WORK_SIZE);
	return rc < 0 ? (int)rc : at < this_ring.size ? -ENOSPC : 0;
}

/* All blocks of the file; a signal may interrupt it. */
static int allocate(int fd)
{
	enum { TRIES = 100 };
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++)
		rc = sys_fallocate(fd, 0, 0, (int64_t)this_ring.size);
	return rc;
}

/* The head first: who opens the file in between finds what it will be. */
static int make_new(int fd, uint64_t size)
{
	int rc;

	this_ring = ring_head_of(size);
	if (!ring_limit_allows())
		return -EFBIG;
	rc = write_first_head(fd);
	if (rc == -EBUSY)
		return rc;
	if (rc == 0)
		rc = allocate(fd);
	if (rc == -EOPNOTSUPP)
		rc = fill(fd);
	if (rc < 0)
		sys_ftruncate(fd, 0);
	return rc;
}

/*
 * Somebody has truncated the file: it is a ring again, with all its blocks where
 * the disk has them to give. The head comes first: a kill must not leave a whole file
 * without one. And last: it may be truncated in between.
 */
bool ring_mend(int fd)
{
	write_head(fd);
	if (allocate(fd) < 0)
		sys_ftruncate(fd, (int64_t)this_ring.size);
	return write_head(fd) == 0;
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

static int make_or_recognise(int fd, uint64_t size)
{
	struct statx stat;
	int rc = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &stat);

	if (rc == 0 && !S_ISREG(stat.stx_mode))
		rc = -EBADMSG;
	if (rc == 0)
		rc = stat.stx_size ? recognise(fd, stat.stx_size, size) : make_new(fd, size);
	return rc;
}

/* Who writes the first head needs microseconds; -EBUSY: is stopped in the midst of them. */
int ring_make(int fd, uint64_t size)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	enum { TRIES = 1000 };
	int rc;

	work_init();
	rc = make_or_recognise(fd, size);
	for (int i = 0; i < TRIES && rc == -EBUSY; i++) {
		sys_sleep(&moment);
		rc = make_or_recognise(fd, size);
	}
	return rc;
}
