/* SPDX-License-Identifier: MIT */
/*
 * ring_chunk.c - see ring_chunk.h.
 */
#include "log/ring_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "facts/description.h"
#include "facts/ring_file.h"
#include "log/ring_make.h"
#include "reuse/event.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

_Static_assert(RING_CHUNKS_MOST == RING_HELD_WORDS * 64, "a bit for each chunk");

/* A piece of a chunk, read beside the table; and the least that a record can be. */
enum { PIECE = 16384, LEAST = sizeof(struct ring_record) + sizeof(uint64_t) };
_Static_assert(sizeof(struct ring_table) + PIECE <= WORK_SIZE, "there is room to read both");
_Static_assert((int)PIECE >= (int)RECORD_MOST, "a record lies in one piece");
_Static_assert(offsetof(struct event, time_ns) == 0, "a record's time is behind its head");

static int lock(int fd, uint32_t chunk, short type)
{
	struct flock range = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)ring_chunk_at(&this_ring, chunk),
		.l_len = (off_t)this_ring.chunk_size,
	};

	return sys_fcntl(fd, F_SETLK, (long)&range);
}

/* The kernel's locks are the process's; between its threads these bits are. */
static bool hold(uint32_t chunk)
{
	const uint64_t bit = UINT64_C(1) << chunk % 64;

	return !(atomic_fetch_or(&our_process.ring_held[chunk / 64], bit) & bit);
}

void ring_chunk_let_go(int fd, uint32_t chunk)
{
	lock(fd, chunk, F_UNLCK);
	atomic_fetch_and(&our_process.ring_held[chunk / 64], ~(UINT64_C(1) << chunk % 64));
}

bool ring_chunk_stamp(int fd, uint32_t chunk, uint64_t time)
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

/* Take one chunk, which the table calls the oldest; -EAGAIN where another has it, or had. */
static int take(int fd, uint32_t chunk, uint64_t oldest, uint64_t time)
{
	if (!hold(chunk))
		return -EAGAIN;
	if (lock(fd, chunk, F_WRLCK) < 0 || !is_unused_since(fd, chunk, oldest)) {
		ring_chunk_let_go(fd, chunk);
		return -EAGAIN;
	}
	if (!ring_chunk_stamp(fd, chunk, time)) {
		ring_chunk_let_go(fd, chunk);
		return -ENOSPC;
	}
	return 0;
}

/* A clock that was set back makes no new chunk an old one. */
static void later_than_all(const struct ring_table *table, uint64_t *time)
{
	*time &= ~(uint64_t)RING_LEFT;
	for (uint32_t i = 0; i < this_ring.chunks; i++)
		if (table->times[i] >= *time)
			*time = (table->times[i] | RING_LEFT) + 1;
}

/* The oldest chunk that nobody has: its index, or -errno. */
static int take_oldest(int fd, struct ring_table *table, uint64_t *time)
{
	later_than_all(table, time);
	for (uint32_t tries = 0; tries < this_ring.chunks; tries++) {
		uint32_t oldest = 0;
		int rc;

		for (uint32_t i = 1; i < this_ring.chunks; i++)
			if (table->times[i] < table->times[oldest])
				oldest = i;
		rc = take(fd, oldest, table->times[oldest], *time);
		if (rc != -EAGAIN)
			return rc < 0 ? rc : (int)oldest;
		table->times[oldest] = UINT64_MAX;
	}
	return -EBUSY;
}

/*
 * How far a record may be younger than those that follow it: it tells of a repeated failure, and
 * is written anew for a second (log.c); or threads have come to write in another order.
 */
#define FOLLOWS_NS UINT64_C(2000000000)

/*
 * Where the newest record of a piece of a chunk ends, if it is newer than *newest, with those that
 * follow it without a gap. To go too far costs but some room.
 */
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
		if (size &&
		    (time >= *newest || (at + here == *ret_end && time + FOLLOWS_NS >= *newest))) {
			*newest = time >= *newest ? time : *newest;
			*ret_end = at + here + size;
		}
		here += size ? size : RECORD_ALIGN;
	}
	*ret_seen = here;
}

/*
 * How much of a chunk of ours is filled: up to the end of its newest records. What lies
 * behind that is of an earlier turn. Apart from its caller, which may go deeper elsewhere.
 */
static __attribute__((noinline)) uint32_t filled(int fd, uint32_t chunk, char *piece)
{
	const uint64_t start = ring_chunk_at(&this_ring, chunk);
	uint64_t newest = 0, end = 0;
	size_t seen = 1;

	for (uint64_t at = 0; at < this_ring.chunk_size && seen; at += seen) {
		const uint64_t rest = this_ring.chunk_size - at;
		const long got = sys_pread(fd, piece, rest < PIECE ? (size_t)rest : PIECE,
					   (int64_t)(start + at));

		if (got < 0) /* what can't be read is not written over */
			return (uint32_t)this_ring.chunk_size;
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

		for (uint32_t i = 1; i < this_ring.chunks; i++)
			if (table->times[i] > table->times[newest])
				newest = i;
		if (table->times[newest] == 0)
			return -1;
		if (!(table->times[newest] & RING_LEFT) &&
		    take(fd, newest, table->times[newest], *time) == 0) {
			*ret_used = filled(fd, newest, piece);
			if (*ret_used + size <= this_ring.chunk_size)
				return (int)newest;
			ring_chunk_stamp(fd, newest, *time | RING_LEFT); /* nor need others look */
			ring_chunk_let_go(fd, newest);
		}
		table->times[newest] = 0;
	}
	return -1;
}

static bool read_table(int fd, struct ring_table *ret)
{
	return sys_pread(fd, ret, sizeof(*ret), 0) == sizeof(*ret) &&
	       memcmp(&ret->front.head, &this_ring, sizeof(this_ring)) == 0 &&
	       memcmp(ret->front.description, ring_description(), RING_DESCRIPTION) == 0;
}

int ring_chunk_take(int fd, bool begins, uint16_t size, uint64_t *time, uint32_t *ret_used)
{
	struct work work;
	struct ring_table *table;
	int chunk = -1, rc = -ESTALE;

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

void ring_chunk_forget_all(void)
{
	for (int i = 0; i < RING_HELD_WORDS; i++)
		atomic_store(&our_process.ring_held[i], 0);
}
