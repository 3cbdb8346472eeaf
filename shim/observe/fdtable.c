/*
 * fdtable.c - see fdtable.h. Asks nothing, logs nothing, knows no TCP.
 */
#include "observe/fdtable.h"

#include <stdatomic.h>
#include <string.h>

#include "facts/sum.h"
#include "sys/sys.h"

enum { PIECE_SLOTS = 512, PIECES = 2048 }; /* 1,048,576 numbers: the kernel's fs.nr_open */

enum { NOTE_WORDS = sizeof(struct fd_note) / sizeof(uint64_t) };
_Static_assert(sizeof(struct fd_note) % sizeof(uint64_t) == 0, "a note is whole words");

/*
 * Nobody owns a slot while writing it: a thread may be jumped out of there, or the
 * process forked, and nobody would ever give it back. Words of two writers that
 * met do not add up to the sum; such a note is none, and the next write heals it.
 */
struct slot {
	_Atomic(uint64_t) words[NOTE_WORDS];
	_Atomic(uint64_t) sum;
};

struct piece {
	struct slot slots[PIECE_SLOTS];
};

static _Atomic(struct piece *) pieces[PIECES];

/* How far a ring of copies is followed: it may have been broken, and closed anew without one. */
enum { MOST_COPIES = 16 };

/* The slot of a number that was used before; NULL where there is none. */
static struct slot *slot_of(int fd)
{
	if (fd < 0 || fd >= PIECE_SLOTS * PIECES)
		return NULL;

	struct piece *piece = atomic_load_explicit(&pieces[fd / PIECE_SLOTS], memory_order_acquire);

	return piece ? &piece->slots[fd % PIECE_SLOTS] : NULL;
}

/* The same, making the piece where it is missing. Who comes second throws his away. */
static struct slot *slot_made(int fd)
{
	struct slot *slot = slot_of(fd);

	if (slot || fd < 0 || fd >= PIECE_SLOTS * PIECES)
		return slot;

	struct piece *mine = sys_mmap_pages(sizeof(struct piece)), *nobody = NULL;

	if (sys_failed(mine))
		return NULL;
	if (!atomic_compare_exchange_strong(&pieces[fd / PIECE_SLOTS], &nobody, mine))
		sys_munmap(mine, sizeof(*mine));
	return slot_of(fd);
}

/* False where there is none, or two writers met: then *ret is of no use. */
static bool read_slot(const struct slot *slot, struct fd_note *ret)
{
	uint64_t sum = SUM_BEGIN;

	for (size_t i = 0; i < NOTE_WORDS; i++) {
		const uint64_t word = atomic_load_explicit(&slot->words[i], memory_order_relaxed);

		memcpy((char *)ret + i * sizeof(word), &word, sizeof(word));
		sum = sum_word(sum, word);
	}
	return atomic_load_explicit(&slot->sum, memory_order_relaxed) == sum;
}

struct fd_note fdtable_get(int fd)
{
	const struct slot *slot = slot_of(fd);
	struct fd_note note;

	return slot && read_slot(slot, &note) ? note : (struct fd_note){0};
}

void fdtable_about(int fd, uint64_t cookie, struct fd_note *ret)
{
	const struct slot *slot = slot_of(fd);

	if (!slot || !cookie || !read_slot(slot, ret) || ret->cookie != cookie || ret->closed_ns)
		*ret = (struct fd_note){0};
}

static void write_slot(struct slot *slot, const struct fd_note *note)
{
	uint64_t sum = SUM_BEGIN;

	for (size_t i = 0; i < NOTE_WORDS; i++) {
		uint64_t word;

		memcpy(&word, (const char *)note + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&slot->words[i], word, memory_order_relaxed);
		sum = sum_word(sum, word);
	}
	atomic_store_explicit(&slot->sum, sum, memory_order_relaxed);
}

void fdtable_set(int fd, const struct fd_note *note)
{
	struct slot *slot = slot_made(fd);

	if (slot)
		write_slot(slot, note);
}

/* Return the number after it in the ring of its copies, or a negative one. */
static int note_connect(int fd, uint64_t cookie, uint32_t connect_ms)
{
	struct fd_note note = fdtable_get(fd);

	if (note.cookie != cookie)
		return -1;
	if (!note.closed_ns && note.connect_ms != connect_ms) {
		note.connect_ms = connect_ms;
		fdtable_set(fd, &note);
	}
	return note.next_copy - 1;
}

void fdtable_connect(int fd, uint64_t cookie, uint32_t connect_ms)
{
	int at = cookie ? note_connect(fd, cookie, connect_ms) : -1;

	for (int i = 0; i < MOST_COPIES && !connect_ms && at >= 0 && at != fd; i++)
		at = note_connect(at, cookie, 0);
}

uint64_t fdtable_connects(int fd)
{
	const struct fd_note note = fdtable_get(fd);

	return note.closed_ns || !note.connect_ms ? 0 : note.cookie;
}

void fdtable_copy(int fd, int newfd)
{
	struct fd_note note = fdtable_get(fd), copy = note;

	if (fd == newfd)
		return;
	copy.next_copy = note.next_copy ? note.next_copy : fd + 1;
	note.next_copy = newfd + 1;
	fdtable_set(newfd, &copy);
	if (note.cookie)
		fdtable_set(fd, &note);
}

int fdtable_other(int fd, const struct fd_note *note)
{
	int at = note->next_copy - 1;

	for (int i = 0; i < MOST_COPIES && at >= 0 && at != fd; i++) {
		const struct fd_note other = fdtable_get(at);

		if (other.cookie != note->cookie)
			return -1; /* it has become another's */
		if (!other.closed_ns)
			return at;
		at = other.next_copy - 1;
	}
	return -1;
}

void fdtable_close(int fd, enum call_id call, int32_t tid, uint32_t stack, uint64_t now_ns)
{
	struct fd_note note = fdtable_get(fd);

	if (!note.cookie)
		return;
	note.closed_ns = now_ns;
	note.closed_by = tid;
	note.closed_at = stack;
	note.closed_call = (uint8_t)call;
	note.closed_other = false;
	fdtable_set(fd, &note);
}

void fdtable_close_other(int fd, enum call_id call, int32_t tid, uint32_t stack, uint64_t now_ns)
{
	const struct fd_note note = {
		.cookie = fdtable_get(fd).cookie,
		.closed_ns = now_ns,
		.closed_by = tid,
		.closed_at = stack,
		.closed_call = (uint8_t)call,
		.closed_other = true,
	};

	if (note.cookie)
		fdtable_set(fd, &note);
}

void fdtable_reopen(int fd)
{
	struct fd_note note = fdtable_get(fd);

	if (!note.closed_ns)
		return;
	note.closed_ns = 0;
	note.connect_ms = 0;
	fdtable_set(fd, &note);
}

static bool is_open(int fd)
{
	const struct fd_note note = fdtable_get(fd);

	return note.cookie && !note.closed_ns;
}

int fdtable_next(int fd)
{
	for (; fd >= 0 && fd < PIECE_SLOTS * PIECES; fd++) {
		if (!atomic_load_explicit(&pieces[fd / PIECE_SLOTS], memory_order_relaxed))
			fd |= PIECE_SLOTS - 1;
		else if (is_open(fd))
			return fd;
	}
	return -1;
}
