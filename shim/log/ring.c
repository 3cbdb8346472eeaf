/*
 * ring.c - see ring.h. A chunk is this process's own from when it is taken until
 * the next is, or the process ends; within the process, places in it are drawn by
 * compare-and-swap. Nobody waits, and nothing is left to be mended after a crash.
 */
#include "log/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "facts/description.h"
#include "facts/ring_file.h"
#include "log/record.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

_Static_assert(RING_CHUNKS_MOST == RING_HELD_WORDS * 64, "a bit for each chunk");

static struct ring_head ring;

/* A piece of a chunk, read beside the table; and the least that a record can be. */
enum { PIECE = 16384, LEAST = sizeof(struct ring_record) + sizeof(uint64_t) };
_Static_assert(sizeof(struct ring_table) + PIECE <= WORK_SIZE, "there is room to read both");
_Static_assert((int)PIECE >= (int)RECORD_MOST, "a record lies in one piece");
_Static_assert(offsetof(struct event, time_ns) == 0, "a record's time is behind its head");

/* Over the limit of the file size a write would raise SIGXFSZ, wherever in the file it is. */
static bool limit_allows_ring(void)
{
	struct rlimit64 limit;

	return sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 || ring.size <= limit.rlim_cur;
}

/* With its description, in one piece: nobody finds the one without the other. */
static int write_head(int fd)
{
	const struct iovec parts[] = {
		{&ring, sizeof(ring)},
		{(void *)(uintptr_t)ring_description(), RING_DESCRIPTION},
	};
	const long rc = sys_pwritev(fd, parts, 2, 0);

	if (rc < 0)
		return (int)rc;
	return rc == RING_TIMES_AT ? 0 : -ENOSPC;
}

/* For a file system that gives blocks only to what is written. */
static int fill(int fd)
{
	void *zeros = sys_mmap_pages(WORK_SIZE);
	uint64_t at = RING_TIMES_AT;
	long rc = 1;

	if (sys_failed(zeros))
		return -ENOMEM;
	for (; at < ring.size && rc > 0; at += rc > 0 ? (uint64_t)rc : 0) {
		const uint64_t rest = ring.size - at;

		rc = sys_pwrite(fd, zeros, rest < WORK_SIZE ? rest : WORK_SIZE, (int64_t)at);
	}
	sys_munmap(zeros, WORK_SIZE);
	return rc < 0 ? (int)rc : at < ring.size ? -ENOSPC : 0;
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
	if (!limit_allows_ring())
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

/*
 * Somebody has truncated the file: it is a ring again, with all its blocks where
 * the disk has them to give. The head comes first: a kill must not leave a whole file
 * without one. And last: it may be truncated in between.
 */
static bool mend(int fd)
{
	write_head(fd);
	if (allocate(fd) < 0)
		sys_ftruncate(fd, (int64_t)ring.size);
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
 * where a writer let the file grow again and was killed. Zeros alone are a ring where the file
 * has its size, or a process records into it.
 */
static bool is_rest_of(const struct ring_head *head, int fd, const char *front, size_t len,
		       uint64_t size)
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
	if (front[0])
		return len >= sizeof(*head) || is_held(fd, head);
	return size == head->size || is_held(fd, head);
}

/*
 * Is that front, of a file of size bytes, one of ours? 0, 1 where it must be mended, or
 * -errno. asked: for how large a ring, where the file does not tell.
 */
static int judge_front(int fd, const char *front, size_t len, uint64_t size, uint64_t asked)
{
	const uint64_t sizes[] = {size, asked};

	if (len >= sizeof(ring)) {
		memcpy(&ring, front, sizeof(ring));
		if (ring_head_is_ours(&ring))
			return len == RING_TIMES_AT &&
			       memcmp(front + sizeof(ring), ring_description(), RING_DESCRIPTION) !=
				       0;
	}
	for (int i = 0; i < 2; i++) {
		if (sizes[i] < RING_SIZE_LEAST || sizes[i] > RING_SIZE_MOST)
			continue;
		ring = ring_head_of(sizes[i]);
		if ((i == 1 || ring.size == size) && is_rest_of(&ring, fd, front, len, size))
			return 1;
	}
	return len >= sizeof(ring) && memcmp(front, RING_NAME, sizeof(RING_NAME)) == 0 ? -EPROTO
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
		return make(fd, asked); /* truncated a moment ago */
	if (rc != 1)
		return rc;
	if (!limit_allows_ring())
		return -EFBIG;
	return mend(fd) ? 0 : -ENOSPC;
}

int ring_open(int fd, uint64_t size)
{
	struct statx stat;
	int rc = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &stat);

	work_init();
	if (rc == 0 && !S_ISREG(stat.stx_mode))
		rc = -EBADMSG;
	if (rc == 0)
		rc = stat.stx_size ? recognise(fd, stat.stx_size, size) : make(fd, size);
	if (rc < 0) {
		sys_close(fd);
		return rc;
	}
	rc = own_adopt(OWN_LOG, fd);
	return rc < 0 ? rc : 0;
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

/* When the chunk was last written to. */
static bool stamp(int fd, uint32_t chunk, uint64_t time)
{
	return sys_pwrite(fd, &time, sizeof(time), (int64_t)ring_time_at(chunk)) == sizeof(time);
}

/* Is the chunk's time still what the table said? Of a file that was truncated it is gone. */
static bool is_unused_since(int fd, uint32_t chunk, uint64_t time)
{
	uint64_t now;
	const long got = sys_pread(fd, &now, sizeof(now), (int64_t)ring_time_at(chunk));

	return got >= 0 && (got != sizeof(now) || now == time);
}

enum { NOT_NOW = 1 };

/* Take one chunk, which the table calls the oldest; NOT_NOW where another has it, or had. */
static int take(int fd, uint32_t chunk, uint64_t oldest, uint64_t time)
{
	if (!hold(chunk))
		return NOT_NOW;
	if (lock(fd, chunk, F_WRLCK) < 0 || !is_unused_since(fd, chunk, oldest)) {
		let_go(fd, chunk);
		return NOT_NOW;
	}
	if (!stamp(fd, chunk, time)) {
		let_go(fd, chunk);
		return -ENOSPC;
	}
	return 0;
}

/* A clock that was set back makes no new chunk an old one. */
static void later_than_all(const struct ring_table *table, uint64_t *time)
{
	*time &= ~(uint64_t)RING_LEFT;
	for (uint32_t i = 0; i < ring.chunks; i++)
		if (table->times[i] >= *time)
			*time = (table->times[i] | RING_LEFT) + 1;
}

/* The oldest chunk that nobody has: its index, or -errno. */
static int take_oldest(int fd, struct ring_table *table, uint64_t *time)
{
	later_than_all(table, time);
	for (uint32_t tries = 0; tries < ring.chunks; tries++) {
		uint32_t oldest = 0;
		int rc;

		for (uint32_t i = 1; i < ring.chunks; i++)
			if (table->times[i] < table->times[oldest])
				oldest = i;
		rc = take(fd, oldest, table->times[oldest], *time);
		if (rc != NOT_NOW)
			return rc < 0 ? rc : (int)oldest;
		table->times[oldest] = UINT64_MAX;
	}
	return -EBUSY;
}

/* Where the newest record of a piece of a chunk ends, if it is newer than *newest. */
static void find_end(const char *piece, size_t len, uint64_t at, size_t *ret_seen, uint64_t *newest,
		     uint64_t *ret_end)
{
	size_t here = 0;

	while (here + LEAST <= len) {
		uint64_t time;
		const size_t size = ring_record_here(piece + here, len - here, sizeof(time));

		if (size > len - here)
			break; /* the rest of it is in the next piece */
		memcpy(&time, piece + here + sizeof(struct ring_record), sizeof(time));
		here += size ? size : RECORD_ALIGN;
		if (size && time >= *newest) {
			*newest = time;
			*ret_end = at + here;
		}
	}
	*ret_seen = here;
}

/*
 * How much of a chunk of ours is filled: up to the end of its newest record. What lies
 * behind that is of an earlier turn. Apart from its caller, which may go deeper elsewhere.
 */
static __attribute__((noinline)) uint32_t filled(int fd, uint32_t chunk, char *piece)
{
	const uint64_t start = ring_chunk_at(&ring, chunk);
	uint64_t newest = 0, end = 0;
	size_t seen = 1;

	for (uint64_t at = 0; at < ring.chunk_size && seen; at += seen) {
		const uint64_t rest = ring.chunk_size - at;
		const long got =
			sys_pread(fd, piece, rest < PIECE ? rest : PIECE, (int64_t)(start + at));

		if (got < 0) /* what can't be read is not written over */
			return (uint32_t)ring.chunk_size;
		find_end(piece, (size_t)got, at, &seen, &newest, &end);
	}
	return (uint32_t)end;
}

/*
 * A process that begins goes on where one that has ended had room: many do little. But
 * not in a chunk that a process has left, whose other threads may still write there.
 * The one written to last, or -1; how much of it is used.
 */
static int take_begun(int fd, struct ring_table *table, uint16_t size, uint64_t *time, char *piece,
		      uint32_t *ret_used)
{
	enum { TRIES = 64 };

	later_than_all(table, time);
	for (int tries = 0; tries < TRIES; tries++) {
		uint32_t newest = 0;

		for (uint32_t i = 1; i < ring.chunks; i++)
			if (table->times[i] > table->times[newest])
				newest = i;
		if (table->times[newest] == 0)
			return -1;
		if (!(table->times[newest] & RING_LEFT) &&
		    take(fd, newest, table->times[newest], *time) == 0) {
			*ret_used = filled(fd, newest, piece);
			if (*ret_used + size <= ring.chunk_size)
				return (int)newest;
			stamp(fd, newest, *time | RING_LEFT); /* nor need others look */
			let_go(fd, newest);
		}
		table->times[newest] = 0;
	}
	return -1;
}

/* Read the table of a whole ring; whoever truncates it may do so again and again. */
static bool read_table(int fd, struct ring_table *ret)
{
	enum { TRIES = 20 };

	for (int i = 0; i < TRIES; i++) {
		if (sys_pread(fd, ret, sizeof(*ret), 0) == sizeof(*ret) &&
		    memcmp(&ret->front.head, &ring, sizeof(ring)) == 0 &&
		    memcmp(ret->front.description, ring_description(), RING_DESCRIPTION) == 0)
			return true;
		if (!mend(fd))
			return false;
	}
	return false;
}

/*
 * A chunk with room for size bytes, behind *ret_used of it: for a process that begins
 * one that another has begun, else the oldest. Its index, or -errno.
 */
static int take_chunk(int fd, bool begins, uint16_t size, uint64_t *time, uint32_t *ret_used)
{
	struct work work;
	struct ring_table *table;
	int chunk = -1, rc = -EBADMSG;

	if (!work_begin(&work))
		return -ENOMEM;
	table = (struct ring_table *)(void *)work.room;
	if (begins && read_table(fd, table))
		chunk = take_begun(fd, table, size, time, work.room + sizeof(*table), ret_used);
	if (chunk >= 0) {
		rc = chunk;
	} else if (read_table(fd, table)) {
		*ret_used = 0;
		rc = take_oldest(fd, table, time);
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
	const bool moved = atomic_load(&this_process.ring_fd) != 0;

	for (int i = 0; i < RING_HELD_WORDS; i++)
		atomic_store(&this_process.ring_held[i], 0);
	atomic_store(&this_process.ring_at, packed((struct place){.turn = moved}));
	atomic_store(&this_process.ring_fd, fd);
}

/*
 * Take a chunk and begin it with a record of size bytes; where in the file, NOT_NOW
 * where another thread was faster, or -errno. The one that is left was written to a
 * moment ago.
 */
static int64_t begin_chunk(int fd, uint64_t word, uint16_t size, uint64_t time)
{
	const struct place here = unpacked(word);
	uint32_t used = 0;
	const int chunk = take_chunk(fd, word == 0, size, &time, &used);
	const struct place next = {(uint16_t)(here.turn + 1), (uint16_t)(chunk + 1), used + size};

	if (chunk < 0)
		return chunk;
	if (!atomic_compare_exchange_strong(&this_process.ring_at, &word, packed(next))) {
		let_go(fd, (uint32_t)chunk);
		return NOT_NOW;
	}
	atomic_store(&this_process.ring_time, time);
	if (here.number) {
		stamp(fd, here.number - 1u, time | RING_LEFT);
		let_go(fd, here.number - 1u);
	}
	return (int64_t)ring_chunk_at(&ring, (uint32_t)chunk) + used;
}

/* Room for a record, in a chunk of ours: where in the file, or -errno. Apart: a stack is small. */
static __attribute__((noinline)) int64_t draw(int fd, uint16_t size, uint64_t time)
{
	enum { TRIES = 1000 };
	int64_t at = NOT_NOW;

	if (atomic_load_explicit(&this_process.ring_fd, memory_order_relaxed) != fd)
		forget_chunks(fd);
	for (int i = 0; i < TRIES && at == NOT_NOW; i++) {
		uint64_t word = atomic_load(&this_process.ring_at);
		const struct place here = unpacked(word);

		if (!here.number || here.used + size > ring.chunk_size)
			at = begin_chunk(fd, word, size, time);
		else if (atomic_compare_exchange_weak(&this_process.ring_at, &word, word + size))
			return (int64_t)ring_chunk_at(&ring, here.number - 1u) + here.used;
	}
	return at == NOT_NOW ? -EAGAIN : at;
}

/* A chunk that is filled slowly is not an old one. */
static void keep_fresh(int fd, uint64_t time)
{
	enum { TENTH_NS = 100000000 };
	const uint64_t last = atomic_load_explicit(&this_process.ring_time, memory_order_relaxed);
	const struct place here = unpacked(atomic_load(&this_process.ring_at));

	if (time < last + TENTH_NS || !here.number)
		return;
	if (stamp(fd, here.number - 1u, time & ~(uint64_t)RING_LEFT))
		atomic_store(&this_process.ring_time, time);
}

/* Where in the file, or -errno. */
static int64_t append(const uint64_t *record, uint16_t size, uint64_t time)
{
	uint64_t file_size;
	const int fd = own_checked_size(OWN_LOG, &file_size);
	int64_t at;

	if (fd < 0 || !limit_allows_ring() || (file_size < ring.size && !mend(fd)))
		return -EBADF;
	at = draw(fd, size, time);
	if (at < 0 || sys_pwrite(fd, record, size, at) != size)
		return -ENOSPC;
	keep_fresh(fd, time);
	return at;
}

/* False where the chunk is not ours any more, or the file not what it was. */
static bool overwrite(const uint64_t *record, uint16_t size, uint64_t time,
		      const struct ring_spot *spot)
{
	uint64_t file_size;
	const int fd = own_checked_size(OWN_LOG, &file_size);
	struct place here = unpacked(atomic_load(&this_process.ring_at));

	here.used = 0;
	if (fd < 0 || fd != atomic_load(&this_process.ring_fd) || spot->chunk != packed(here) ||
	    spot->size != size || file_size < ring.size || !limit_allows_ring() ||
	    sys_pwrite(fd, record, size, spot->at) != size)
		return false;
	keep_fresh(fd, time);
	return true;
}

/*
 * Of a record just written. Nowhere, where it could not be, or another thread has gone on to the
 * next chunk already.
 */
static struct ring_spot spot_at(int64_t at, uint16_t size)
{
	struct place here = unpacked(atomic_load(&this_process.ring_at));

	here.used = 0;
	if (at < 0 || ((uint64_t)at - RING_DATA_AT) / ring.chunk_size + 1 != here.number)
		return (struct ring_spot){0};
	return (struct ring_spot){packed(here), at, size};
}

static bool append_long(const struct event *ev)
{
	struct work work;
	bool written;

	if (!work_begin(&work))
		return false;
	uint64_t *words = (uint64_t *)(void *)work.room;

	written = append(words, record_of(ev, words, RECORD_MOST), ev->time_ns) >= 0;
	work_end(&work);
	return written;
}

static __attribute__((noinline)) bool append_short(const struct event *ev)
{
	uint64_t words[RECORD_SHORT / sizeof(uint64_t)];

	return append(words, record_of(ev, words, sizeof(words)), ev->time_ns) >= 0;
}

bool ring_append(const struct event *ev)
{
	return record_is_long(ev) ? append_long(ev) : append_short(ev);
}

bool ring_rewrite(const struct event *ev, struct ring_spot *spot, uint64_t *room, size_t size)
{
	const uint16_t len = record_of(ev, room, size);

	if (spot->chunk && overwrite(room, len, ev->time_ns, spot))
		return true;

	const int64_t at = append(room, len, ev->time_ns);

	*spot = spot_at(at, len);
	return at >= 0;
}
