/* SPDX-License-Identifier: MIT */
/*
 * ring_reader.c - see ring_reader.h. Nothing is asked of the writers, who never notice.
 *
 * A look reads the table of times, then asks which chunks are locked, then reads the chunks that
 * may hold something new, the oldest first:
 *
 *	those whose time has changed since the last look,
 *	those that were locked at the last look,
 *	and now and then every other one.
 *
 * The first two hold all that the holders of chunks had written before this look began. A holder
 * locks its chunk, then writes its time, then its records, and then lets go. If it wrote the time
 * after the last look had read the table, the time has changed. If before, it had locked the
 * chunk before the last look asked for locks. Either it had it still; or it had let it go, with
 * all its records in it, before that look came to reading the chunk, as it did for one of the
 * same two reasons.
 *
 * Others write as well: a thread that had its place in the chunk when another thread went on to
 * the next one (RING_LEFT), mostly within microseconds. And a lock may be lost to a dup2, a time
 * to a truncation, and on some file systems other machines' locks are not seen. So a chunk is
 * read at each look until a GRACE after its time has changed, and from then on each time that its
 * age has doubled, at most LONGEST later. What comes late is found before it is late twice as
 * long.
 *
 * What has been found is remembered by its place and sum. The records are copied, and kept until
 * they have been printed.
 */
#include "events/ring_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events/records.h"
#include "facts/description.h"

#define GRACE_NS INT64_C(100000000)
#define LONGEST_NS INT64_C(600000000000)

struct ring_seen {
	uint64_t sum;
	uint32_t at;
	uint32_t entry; /* it was when it was found */
};

/* What is known of a chunk since the last look. */
struct ring_chunk {
	uint64_t time;	       /* as in the table */
	int64_t changed, read; /* when that was first seen, and when the chunk was read; 0: never */
	bool held;	       /* locked, at the last look */
	uint32_t count;
	struct ring_seen *seen; /* its records, in their order */
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t reader_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t reader_time(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static void free_chunks(struct ring_reader *reader)
{
	for (uint32_t i = 0; reader->chunks && i < reader->head.chunks; i++)
		free(reader->chunks[i].seen);
	free(reader->chunks);
	reader->chunks = NULL;
}

bool reader_knows(struct ring_front *front)
{
	struct ring_format format;

	/* Where a truncation has taken the description, the head tells that it was ours. */
	if (ring_head_is_ours(&front->head))
		memcpy(front->description, ring_description(), sizeof(front->description));
	return ring_head_is_one(&front->head) &&
	       front->head.layout == ring_description_sum(front->description) &&
	       format_read(&format, front->description);
}

bool reader_begin(struct ring_reader *reader, const struct ring_front *front)
{
	const struct ring_head *head = &front->head;

	free_chunks(reader);
	reader->head = *head;
	format_read(&reader->format, front->description);
	reader->chunks = calloc(head->chunks, sizeof(*reader->chunks));
	for (uint32_t i = 0; reader->chunks && i < head->chunks; i++)
		reader->chunks[i].held = true;
	return reader->chunks != NULL;
}

/* Somebody has truncated the file, and the next program made another ring of it. */
static bool keep_up(struct ring_reader *reader, struct ring_front *front)
{
	if (memcmp(&front->head, &reader->head, sizeof(front->head)) == 0 || !reader_knows(front))
		return true;
	return reader_begin(reader, front);
}

static uint32_t chunk_of(const struct ring_reader *reader, off_t at)
{
	return (uint32_t)((uint64_t)(at - RING_DATA_AT) / reader->head.chunk_size);
}

/* In these bytes of the file. False where the kernel does not tell. */
static bool ask_for_locks(struct ring_reader *reader, off_t from, off_t end)
{
	while (from < end) {
		struct flock lock = {
			.l_type = F_RDLCK,
			.l_whence = SEEK_SET,
			.l_start = from,
			.l_len = end - from,
		};
		off_t locked, unlocked;

		if (fcntl(reader->fd, F_GETLK, &lock) < 0)
			return false;
		if (lock.l_type == F_UNLCK)
			return true;
		/* One of the locks that there are, and not always the first. */
		locked = lock.l_start > from ? lock.l_start : from;
		unlocked = lock.l_len && lock.l_start + lock.l_len < end ? lock.l_start + lock.l_len
									 : end;
		if (unlocked <= locked || !ask_for_locks(reader, from, locked))
			return false;
		for (uint32_t i = chunk_of(reader, locked); i <= chunk_of(reader, unlocked - 1);
		     i++)
			reader->chunks[i].held = true;
		from = unlocked;
	}
	return true;
}

/* Which chunks are locked? Perhaps all, where the kernel does not tell. */
static void look_for_locks(struct ring_reader *reader)
{
	bool told;

	for (uint32_t i = 0; i < reader->head.chunks; i++)
		reader->chunks[i].held = false;
	told = ask_for_locks(reader, RING_DATA_AT,
			     (off_t)ring_chunk_at(&reader->head, reader->head.chunks));
	for (uint32_t i = 0; !told && i < reader->head.chunks; i++)
		reader->chunks[i].held = true;
}

/* How long after its last reading a chunk is read although nothing speaks for it. */
static int64_t pause_of(const struct ring_chunk *chunk)
{
	const int64_t age = chunk->read - chunk->changed;

	return age < GRACE_NS ? 0 : age < LONGEST_NS ? age : LONGEST_NS;
}

/* As the table tells it, when a chunk is met for the first time. */
static int64_t age_at_first(uint64_t time)
{
	const uint64_t now = (uint64_t)reader_time();

	return time < now ? (int64_t)(now - time) : 0;
}

/* May it hold what has not been found? Its time is as the table has it now. */
static bool may_have_new(struct ring_chunk *chunk, uint64_t time, int64_t now)
{
	const bool changed = time != chunk->time;

	if (!chunk->read)
		chunk->changed = now - age_at_first(time);
	else if (changed)
		chunk->changed = now;
	chunk->time = time;
	return changed || chunk->held || now >= chunk->read + pause_of(chunk);
}

/*
 * Nothing was ever written there. A chunk without a time may have been written to, and the file
 * truncated since. An answer may go far beyond the chunk, and take the kernel as long.
 */
static bool is_hole(struct ring_reader *reader, off_t at)
{
	const off_t end = at + (off_t)reader->head.chunk_size;

	if (at < reader->hole_at || end > reader->hole_end) {
		const off_t data = lseek(reader->fd, at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return false;
		reader->hole_at = at;
		reader->hole_end = data < 0 ? INT64_MAX : data;
	}
	return end <= reader->hole_end;
}

/* Twice as much memory where more is needed. */
static bool make_room(void **memory, size_t needed, size_t *room, size_t of)
{
	const size_t more = needed > *room * 2 ? needed : *room * 2;
	void *bigger;

	if (needed <= *room)
		return true;
	bigger = realloc(*memory, more * of);
	if (!bigger)
		return false;
	*memory = bigger;
	*room = more;
	return true;
}

/* A record that was read behind those that are kept becomes one of them. */
static bool add_entry(struct ring_reader *reader, const char *record, size_t size)
{
	void *entries = reader->entries;
	const struct record_key key = record_key(&reader->format, record);
	bool good = make_room(&entries, reader->count + 1, &reader->room, sizeof(*reader->entries));

	reader->entries = entries;
	if (!good)
		return false;
	if (record != reader->records + reader->used)
		memmove(reader->records + reader->used, record, size);
	reader->entries[reader->count++] = (struct ring_entry){
		.time_ns = key.time_ns,
		.seq = key.seq,
		.at = reader->used,
		.pid = key.pid,
		.times = key.times,
		.since_ns = key.since_ns,
		.final_ns = key.final_ns,
	};
	reader->used += size;
	return true;
}

static bool list_seen(struct ring_reader *reader, struct ring_seen seen)
{
	void *listed = reader->listed;
	const bool good = make_room(&listed, reader->list_count + 1, &reader->list_room,
				    sizeof(*reader->listed));

	reader->listed = listed;
	if (good)
		reader->listed[reader->list_count++] = seen;
	return good;
}

/* Of the chunk what has been listed is known from now on, and nothing else. */
static bool remember(struct ring_reader *reader, struct ring_chunk *chunk)
{
	const size_t size = reader->list_count * sizeof(*chunk->seen);
	struct ring_seen *seen = realloc(chunk->seen, size ? size : 1);

	if (!seen)
		return false;
	if (size)
		memcpy(seen, reader->listed, size);
	chunk->seen = seen;
	chunk->count = (uint32_t)reader->list_count;
	return true;
}

/*
 * It has been overwritten. Of looks before the last, entries may have been dropped, or moved. What
 * is repeated was written anew, mostly: nothing tells that what is older goes with it.
 */
static void tell_gone(struct ring_reader *reader, const struct ring_seen *seen)
{
	struct ring_entry *entry;
	struct ring_record head;

	if (seen->entry >= reader->count)
		return;
	entry = &reader->entries[seen->entry];
	memcpy(&head, reader_record(reader, entry), sizeof(head));
	if (head.sum == seen->sum && !entry->times)
		entry->gone = true;
}

/* The whole records of a chunk, which was read behind those that are kept. */
static bool find_records(struct ring_reader *reader, struct ring_chunk *chunk, size_t len)
{
	const char *bytes = reader->records + reader->used;
	const struct ring_seen *old = chunk->seen, *const end = old + chunk->count;
	struct ring_record head;
	size_t size;

	reader->list_count = 0;
	for (size_t at = 0; at < len; at += size ? size : RECORD_ALIGN) {
		struct ring_seen seen;

		size = record_size(&reader->format, bytes + at, len - at);
		if (!size)
			continue;
		memcpy(&head, bytes + at, sizeof(head));
		seen = (struct ring_seen){head.sum, (uint32_t)at, (uint32_t)reader->count};
		for (; old < end && old->at < at; old++)
			tell_gone(reader, old);
		if (old < end && old->at == at && old->sum == head.sum)
			seen = *old++;
		else if (!add_entry(reader, bytes + at, size))
			return false;
		if (!list_seen(reader, seen))
			return false;
	}
	for (; old < end; old++)
		tell_gone(reader, old);
	return remember(reader, chunk);
}

static bool read_chunk(struct ring_reader *reader, uint32_t number, int64_t now)
{
	struct ring_chunk *chunk = &reader->chunks[number];
	const size_t size = (size_t)reader->head.chunk_size;
	const off_t at = (off_t)ring_chunk_at(&reader->head, number);
	void *records = reader->records;
	bool good;
	ssize_t got = 0;

	chunk->read = now;
	if (chunk->time || !is_hole(reader, at)) {
		good = make_room(&records, reader->used + size, &reader->size, 1);
		reader->records = records;
		if (!good)
			return false;
		got = pread(reader->fd, reader->records + reader->used, size, at);
	}
	return got >= 0 && find_records(reader, chunk, (size_t)got);
}

/* A chunk's turn to be read. When one is left for another, both have the same time. */
struct turn {
	uint64_t time; /* and then the one that was left */
	uint32_t chunk;
};

static int in_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

bool reader_look(struct ring_reader *reader)
{
	const int64_t now = reader_now();
	struct ring_table table = {.front = {.head = {.name = ""}}};
	struct turn turns[RING_CHUNKS_MOST];
	uint32_t count = 0;

	if (pread(reader->fd, &table, sizeof(table), 0) < 0 || !keep_up(reader, &table.front))
		return false;
	for (uint32_t i = 0; i < reader->head.chunks; i++)
		if (may_have_new(&reader->chunks[i], table.times[i], now))
			turns[count++] = (struct turn){table.times[i] ^ RING_LEFT, i};
	look_for_locks(reader);
	reader->hole_at = reader->hole_end = 0;
	/* The oldest first: then most is in order of time already. */
	qsort(turns, count, sizeof(*turns), in_turn);
	for (uint32_t i = 0; i < count; i++)
		if (!read_chunk(reader, turns[i].chunk, now))
			return false;
	return true;
}

int64_t reader_due(const struct ring_reader *reader, int64_t written)
{
	const int64_t now = reader_now();
	int64_t due = -1;

	for (uint32_t i = 0; i < reader->head.chunks; i++) {
		const struct ring_chunk *chunk = &reader->chunks[i];
		const int64_t left = chunk->read + pause_of(chunk) - now;

		if (chunk->read <= written && (due < 0 || left < due))
			due = left > 0 ? left : 0;
	}
	return due;
}

static int by_place(const void *a, const void *b)
{
	const struct ring_entry *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Where less than half is needed. */
static void give_back(void **memory, size_t needed, size_t *room, size_t of)
{
	void *smaller;

	if (needed >= *room / 2)
		return;
	smaller = realloc(*memory, needed * of);
	if (!smaller)
		return;
	*memory = smaller;
	*room = needed;
}

/* After a first look little is needed. */
static void give_memory_back(struct ring_reader *reader)
{
	enum { FEW = 4096 };
	void *records = reader->records, *entries = reader->entries;

	give_back(&records, reader->used + 2 * (size_t)reader->head.chunk_size, &reader->size, 1);
	give_back(&entries, reader->count + FEW, &reader->room, sizeof(*reader->entries));
	reader->records = records;
	reader->entries = entries;
}

void reader_drop(struct ring_reader *reader, size_t count)
{
	struct ring_entry *entries = reader->entries;

	reader->count -= count;
	reader->used = 0;
	if (reader->count) {
		memmove(entries, entries + count, reader->count * sizeof(*entries));
		qsort(entries, reader->count, sizeof(*entries), by_place);
	}
	for (size_t i = 0; i < reader->count; i++) {
		struct ring_entry *entry = &reader->entries[i];
		struct ring_record head;

		memcpy(&head, reader->records + entry->at, sizeof(head));
		memmove(reader->records + reader->used, reader->records + entry->at, head.size);
		entry->at = reader->used;
		reader->used += head.size;
	}
	give_memory_back(reader);
}

void reader_end(struct ring_reader *reader)
{
	free_chunks(reader);
	free(reader->records);
	free(reader->entries);
	free(reader->listed);
}
