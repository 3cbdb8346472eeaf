/*
 * ring.c - see ring.h. A chunk is this process's own from when it is taken until
 * the next is, or the process ends; within the process, places in it are drawn by
 * compare-and-swap. Nobody waits, and nothing is left to be mended after a crash.
 */
#include "log/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facts/ring_file.h"
#include "log/record.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

_Static_assert(RING_CHUNKS_MOST == RING_HELD_WORDS * 64, "a bit for each chunk");

static struct ring_head ring;

/* What stands before the chunks, and what the zeros between are for. */
struct table {
	struct ring_head head;
	char unused[RING_TAKEN_AT - sizeof(struct ring_head)];
	uint64_t taken[RING_CHUNKS_MOST]; /* zero: never */
};
_Static_assert(sizeof(struct table) == RING_DATA_AT, "it fills the room before the chunks");
_Static_assert(sizeof(struct table) <= WORK_SIZE, "there is room to read it");

/* Over the limit of the file size a write would raise SIGXFSZ. */
static bool limit_allows(uint64_t end)
{
	struct rlimit64 limit;

	return sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 || end <= limit.rlim_cur;
}

static int write_head(int fd)
{
	const long rc = sys_pwrite(fd, &ring, sizeof(ring), 0);

	if (rc < 0)
		return (int)rc;
	return rc == sizeof(ring) ? 0 : -ENOSPC;
}

/* For a file system that gives blocks only to what is written. */
static int fill(int fd)
{
	void *zeros = sys_mmap_pages(WORK_SIZE);
	long rc = 0;

	if (sys_failed(zeros))
		return -ENOMEM;
	for (uint64_t at = sizeof(ring); at < ring.size && rc >= 0; at += (uint64_t)rc) {
		const uint64_t rest = ring.size - at;

		rc = sys_pwrite(fd, zeros, rest < WORK_SIZE ? rest : WORK_SIZE, (int64_t)at);
	}
	sys_munmap(zeros, WORK_SIZE);
	return rc < 0 ? (int)rc : 0;
}

/* All blocks of the file; a signal may interrupt it. */
static int allocate(int fd)
{
	enum { TRIES = 100 };
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++)
		rc = sys_fallocate(fd, 0, 0, (int64_t)ring.size);
	return rc;
}

/* The head first: who opens the file in between finds what it will be. */
static int make(int fd, uint64_t size)
{
	int rc;

	ring = ring_head_of(size);
	if (!limit_allows(ring.size))
		return -EFBIG;
	rc = write_head(fd);
	if (rc == 0)
		rc = allocate(fd);
	if (rc == -EOPNOTSUPP)
		rc = fill(fd);
	if (rc < 0)
		sys_ftruncate(fd, 0);
	return rc;
}

static int recognise(int fd)
{
	if (sys_pread(fd, &ring, sizeof(ring), 0) != sizeof(ring) || !ring_head_is_known(&ring))
		return -EBADMSG;
	return 0;
}

int ring_open(int fd, uint64_t size)
{
	struct statx stat;
	int rc = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &stat);

	if (rc == 0 && !S_ISREG(stat.stx_mode))
		rc = -EBADMSG;
	if (rc == 0)
		rc = stat.stx_size ? recognise(fd) : make(fd, size);
	if (rc < 0) {
		sys_close(fd);
		return rc;
	}
	work_init();
	rc = own_adopt(OWN_LOG, fd, false);
	return rc < 0 ? rc : 0;
}

/*
 * Somebody has truncated the file: it is a ring again, with all its blocks where
 * the disk has them to give.
 */
static bool mend(int fd)
{
	if (!limit_allows(ring.size))
		return false;
	if (allocate(fd) < 0)
		sys_ftruncate(fd, (int64_t)ring.size);
	return write_head(fd) == 0;
}

/* Where this process writes: counted anew with each chunk, so that none is mistaken for another. */
struct place {
	uint16_t turn;
	uint16_t number; /* of the chunk, from 1; 0: none */
	uint32_t used;	 /* bytes of it */
};

static uint64_t packed(struct place place)
{
	return (uint64_t)place.turn << 48 | (uint64_t)place.number << 32 | place.used;
}

static struct place unpacked(uint64_t word)
{
	return (struct place){
		.turn = (uint16_t)(word >> 48),
		.number = (uint16_t)(word >> 32),
		.used = (uint32_t)word,
	};
}

static int lock(int fd, uint32_t chunk, short type)
{
	struct flock range = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)ring_chunk_at(&ring, chunk),
		.l_len = (off_t)ring.chunk_size,
	};

	return sys_fcntl(fd, F_SETLK, (long)&range);
}

/* The kernel's locks are the process's; between its threads these bits are. */
static bool hold(uint32_t chunk)
{
	const uint64_t bit = UINT64_C(1) << chunk % 64;

	return !(atomic_fetch_or(&this_process.ring_held[chunk / 64], bit) & bit);
}

static void let_go(int fd, uint32_t chunk)
{
	lock(fd, chunk, F_UNLCK);
	atomic_fetch_and(&this_process.ring_held[chunk / 64], ~(UINT64_C(1) << chunk % 64));
}

enum { NOT_NOW = 1 };

/* Take one chunk, which the table calls the oldest; NOT_NOW where another has it. */
static int take(int fd, uint32_t chunk, const uint64_t *was, uint64_t turn)
{
	const int64_t at = RING_TAKEN_AT + (int64_t)chunk * (int64_t)sizeof(turn);
	uint64_t now;

	if (!hold(chunk))
		return NOT_NOW;
	/* Taken, filled and left again since the table was read: not the oldest any more. */
	if (lock(fd, chunk, F_WRLCK) < 0 || sys_pread(fd, &now, sizeof(now), at) != sizeof(now) ||
	    now != *was) {
		let_go(fd, chunk);
		return NOT_NOW;
	}
	if (sys_pwrite(fd, &turn, sizeof(turn), at) != sizeof(turn)) {
		let_go(fd, chunk);
		return -ENOSPC;
	}
	return 0;
}

/* The oldest chunk that nobody has: its index, or -errno. */
static int take_oldest(int fd, struct table *table)
{
	uint64_t newest = 0;

	for (uint32_t i = 0; i < ring.chunks; i++)
		if (table->taken[i] > newest)
			newest = table->taken[i];
	for (uint32_t tries = 0; tries < ring.chunks; tries++) {
		uint32_t oldest = 0;
		int rc;

		for (uint32_t i = 1; i < ring.chunks; i++)
			if (table->taken[i] < table->taken[oldest])
				oldest = i;
		rc = take(fd, oldest, &table->taken[oldest], newest + 1);
		if (rc != NOT_NOW)
			return rc < 0 ? rc : (int)oldest;
		table->taken[oldest] = UINT64_MAX;
	}
	return -EBUSY;
}

static int take_chunk(int fd)
{
	struct work work;
	struct table *table;
	int rc = -EBADMSG;

	if (!work_begin(&work))
		return -ENOMEM;
	table = (struct table *)(void *)work.room;
	if (sys_pread(fd, table, sizeof(*table), 0) == sizeof(*table)) {
		/* Truncated, and long again. */
		if (memcmp(&table->head, &ring, sizeof(ring)) != 0)
			mend(fd);
		rc = take_oldest(fd, table);
	}
	work_end(&work);
	return rc;
}

/*
 * Our descriptor has another number since a dup2 onto it: its close has taken our
 * locks with it (man 2 fcntl), and the chunks may be others' by now.
 */
static void forget_chunks(int fd)
{
	for (int i = 0; i < RING_HELD_WORDS; i++)
		atomic_store(&this_process.ring_held[i], 0);
	atomic_store(&this_process.ring_at, 0);
	atomic_store(&this_process.ring_fd, fd);
}

/* Room for a record, in a chunk of ours: where in the file, or -errno. */
static int64_t draw(int fd, uint16_t size)
{
	enum { TRIES = 1000 };

	if (atomic_load_explicit(&this_process.ring_fd, memory_order_relaxed) != fd)
		forget_chunks(fd);
	for (int i = 0; i < TRIES; i++) {
		uint64_t word = atomic_load(&this_process.ring_at);
		const struct place here = unpacked(word);
		struct place next = {.turn = here.turn, .number = here.number};
		int chunk = here.number - 1;

		if (here.number && here.used + size <= ring.chunk_size) {
			next.used = here.used + size;
			if (atomic_compare_exchange_weak(&this_process.ring_at, &word,
							 packed(next)))
				return (int64_t)ring_chunk_at(&ring, (uint32_t)chunk) + here.used;
			continue;
		}
		chunk = take_chunk(fd);
		if (chunk < 0)
			return chunk;
		next = (struct place){(uint16_t)(here.turn + 1), (uint16_t)(chunk + 1), size};
		if (atomic_compare_exchange_strong(&this_process.ring_at, &word, packed(next))) {
			if (here.number)
				let_go(fd, here.number - 1u);
			return (int64_t)ring_chunk_at(&ring, (uint32_t)chunk);
		}
		let_go(fd, (uint32_t)chunk); /* another thread was faster */
	}
	return -EAGAIN;
}

static bool append(const uint64_t *record, uint16_t size)
{
	uint64_t file_size;
	const int fd = own_checked_size(OWN_LOG, &file_size);
	int64_t at;

	if (fd < 0 || (file_size < ring.size && !mend(fd)))
		return false;
	at = draw(fd, size);
	return at >= 0 && limit_allows((uint64_t)at + size) &&
	       sys_pwrite(fd, record, size, at) == size;
}

static bool append_long(const struct event *ev)
{
	struct work work;
	bool written;

	if (!work_begin(&work))
		return false;
	uint64_t *words = (uint64_t *)(void *)work.room;

	written = append(words, record_of(ev, words, RECORD_MOST));
	work_end(&work);
	return written;
}

static __attribute__((noinline)) bool append_short(const struct event *ev)
{
	uint64_t words[RECORD_SHORT / sizeof(uint64_t)];

	return append(words, record_of(ev, words, sizeof(words)));
}

bool ring_append(const struct event *ev)
{
	return record_is_long(ev) ? append_long(ev) : append_short(ev);
}
