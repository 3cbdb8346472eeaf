/* SPDX-License-Identifier: MIT */
/*
 * ring.c - see ring.h. A chunk is this process's own from when it is taken until
 * the next is, or the process ends; within the process, places in it are drawn by
 * compare-and-swap. Nobody waits, and nothing is left to be mended after a crash.
 */
#include "log/ring.h"

#include <errno.h>
#include <stdatomic.h>

#include "facts/ring_file.h"
#include "log/record.h"
#include "log/ring_chunk.h"
#include "log/ring_make.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/work.h"

int ring_open(int fd, uint64_t size, const char *path, bool made)
{
	int rc = own_adopt(OWN_LOG, fd);

	if (rc >= 0)
		rc = ring_make(own_number(OWN_LOG), size);
	/* From now on it is not empty, and so not removed. */
	if (rc >= 0 && path && !ring_is_at(own_number(OWN_LOG), path))
		rc = -ESTALE;
	if (rc >= 0)
		return 0;
	own_close(OWN_LOG);
	if (made)
		ring_unmake(path);
	return rc;
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

/*
 * Our descriptor has another number since a dup2 onto it: its close has taken our
 * locks with it (man 2 fcntl), and the chunks may be others' by now.
 */
static void forget_chunks(int fd)
{
	const bool moved = atomic_load(&our_process.ring_fd) != 0;

	ring_chunk_forget_all();
	atomic_store(&our_process.ring_at, packed((struct place){.turn = moved}));
	atomic_store(&our_process.ring_fd, fd);
}

/*
 * Take a chunk and begin it with a record of size bytes; where in the file, -EAGAIN
 * where another thread was faster, or -errno. The one that is left was written to a
 * moment ago.
 */
static int64_t begin_chunk(int fd, uint64_t word, uint16_t size, uint64_t time)
{
	const struct place here = unpacked(word);
	uint32_t used = 0;
	const int chunk = ring_chunk_take(fd, word == 0, size, &time, &used);
	const struct place next = {(uint16_t)(here.turn + 1), (uint16_t)(chunk + 1), used + size};

	if (chunk < 0)
		return chunk;
	if (!atomic_compare_exchange_strong(&our_process.ring_at, &word, packed(next))) {
		ring_chunk_let_go(fd, (uint32_t)chunk);
		return -EAGAIN;
	}
	atomic_store(&our_process.ring_time, time);
	if (here.number) {
		ring_chunk_stamp(fd, here.number - 1u, time | RING_LEFT);
		ring_chunk_let_go(fd, here.number - 1u);
	}
	return (int64_t)ring_chunk_at(&this_ring, (uint32_t)chunk) + used;
}

/* Room for a record, in a chunk of ours: where in the file, or -errno. Apart: a stack is small. */
static __attribute__((noinline)) int64_t draw(int fd, uint16_t size, uint64_t time)
{
	enum { TRIES = 1000, MENDS = 20 };
	int64_t at = -EAGAIN;
	int mends = 0;

	if (atomic_load_explicit(&our_process.ring_fd, memory_order_relaxed) != fd)
		forget_chunks(fd);
	for (int i = 0; i < TRIES && at == -EAGAIN; i++) {
		uint64_t word = atomic_load(&our_process.ring_at);
		const struct place here = unpacked(word);

		if (!here.number || here.used + size > this_ring.chunk_size)
			at = begin_chunk(fd, word, size, time);
		else if (atomic_compare_exchange_weak(&our_process.ring_at, &word, word + size))
			return (int64_t)ring_chunk_at(&this_ring, here.number - 1u) + here.used;
		/* Whoever truncates it may do so again and again. */
		if (at == -ESTALE && mends++ < MENDS && ring_mend(fd))
			at = -EAGAIN;
	}
	return at;
}

/* A chunk that is filled slowly is not an old one. */
static void keep_fresh(int fd, uint64_t time)
{
	enum { TENTH_NS = 100000000 };
	const uint64_t last = atomic_load_explicit(&our_process.ring_time, memory_order_relaxed);
	const struct place here = unpacked(atomic_load(&our_process.ring_at));

	if (time < last + TENTH_NS || !here.number)
		return;
	if (ring_chunk_stamp(fd, here.number - 1u, time & ~(uint64_t)RING_LEFT))
		atomic_store(&our_process.ring_time, time);
}

/* Where in the file, or -errno. */
static int64_t append(const uint64_t *record, uint16_t size, uint64_t time)
{
	uint64_t file_size;
	const int fd = own_checked_size(OWN_LOG, &file_size);
	int64_t at;

	if (fd < 0 || !ring_limit_allows() || (file_size < this_ring.size && !ring_mend(fd)))
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
	struct place here = unpacked(atomic_load(&our_process.ring_at));

	here.used = 0;
	if (fd < 0 || fd != atomic_load(&our_process.ring_fd) || spot->chunk != packed(here) ||
	    spot->size != size || file_size < this_ring.size || !ring_limit_allows() ||
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
	struct place here = unpacked(atomic_load(&our_process.ring_at));

	here.used = 0;
	if (at < 0 || ((uint64_t)at - RING_DATA_AT) / this_ring.chunk_size + 1 != here.number)
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
