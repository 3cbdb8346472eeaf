/* SPDX-License-Identifier: MIT */
/*
 * fdtable.c - see fdtable.h. Asks nothing, logs nothing, knows no TCP.
 */
#include "observe/fdtable.h"

#include <stdatomic.h>
#include <string.h>

#include "facts/sum.h"
#include "observe/subject.h"
#include "sys/sys.h"

enum { NOTE_WORDS = sizeof(struct fd_note) / sizeof(uint64_t) };
_Static_assert(sizeof(struct fd_note) % sizeof(uint64_t) == 0, "a note is whole words");
_Static_assert(NOTE_WORDS == 12, "so many, the loops over them are told: all unrolled");

/*
 * Nobody owns a slot while writing it: a thread may be jumped out of there, or the
 * process forked, and nobody would ever give it back. Words of two writers that
 * met do not add up to the sum; such a note is none, and the next write heals it.
 */
struct slot {
	_Atomic(uint64_t) words[NOTE_WORDS];
	_Atomic(uint64_t) sum;
};

struct fdtable_piece {
	struct slot slots[FDTABLE_PIECE];
};

enum { MOST_NUMBERS = FDTABLE_PIECE * FDTABLE_PIECES };

/* That of the process that is looked at. */
static inline _Atomic(struct fdtable_piece *) *piece_of(int number)
{
	return &subject_notes->fds.pieces[number / FDTABLE_PIECE];
}

/* How far a ring of copies is followed: it may have been broken, and closed anew without one. */
enum { MOST_COPIES = 16 };

/* The slot of a number that was used before; NULL where there is none. */
static struct slot *slot_of(int number)
{
	if (number < 0 || number >= MOST_NUMBERS)
		return NULL;

	struct fdtable_piece *piece = atomic_load_explicit(piece_of(number), memory_order_acquire);

	return piece ? &piece->slots[number % FDTABLE_PIECE] : NULL;
}

/* The same, making the piece where it is missing. Who comes second throws his away. */
static struct slot *slot_made(int number)
{
	struct slot *slot = slot_of(number);

	if (slot || number < 0 || number >= MOST_NUMBERS)
		return slot;

	struct fdtable_piece *mine = sys_mmap_pages(sizeof(struct fdtable_piece)), *nobody = NULL;

	if (sys_failed(mine))
		return NULL;
	if (!atomic_compare_exchange_strong(piece_of(number), &nobody, mine))
		sys_munmap(mine, sizeof(*mine));
	return slot_of(number);
}

/* False where there is none, or two writers met: then *ret is of no use. */
static bool read_slot(const struct slot *slot, struct fd_note *ret)
{
	uint64_t sum = SUM_BEGIN;

#pragma GCC unroll 12
	for (size_t i = 0; i < NOTE_WORDS; i++) {
		const uint64_t word = atomic_load_explicit(&slot->words[i], memory_order_relaxed);

		memcpy((char *)ret + i * sizeof(word), &word, sizeof(word));
		sum = sum_word(sum, word);
	}
	return atomic_load_explicit(&slot->sum, memory_order_relaxed) == sum;
}

struct fd_note fdtable_get(int number)
{
	const struct slot *slot = slot_of(number);
	struct fd_note note;

	return slot && read_slot(slot, &note) ? note : (struct fd_note){0};
}

void fdtable_about(int number, uint64_t cookie, struct fd_note *ret)
{
	const struct slot *slot = slot_of(number);

	if (!slot || !cookie || !read_slot(slot, ret) || ret->cookie != cookie || ret->closed_ns)
		*ret = (struct fd_note){0};
}

static void write_slot(struct slot *slot, const struct fd_note *note)
{
	uint64_t sum = SUM_BEGIN;

#pragma GCC unroll 12
	for (size_t i = 0; i < NOTE_WORDS; i++) {
		uint64_t word;

		memcpy(&word, (const char *)note + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&slot->words[i], word, memory_order_relaxed);
		sum = sum_word(sum, word);
	}
	atomic_store_explicit(&slot->sum, sum, memory_order_relaxed);
}

void fdtable_set(int number, const struct fd_note *note)
{
	struct slot *slot = slot_made(number);

	if (slot)
		write_slot(slot, note);
}

/* Return the number after it in the ring of its copies, or a negative one. */
static int note_connect(int number, uint64_t cookie, uint32_t connect_ms)
{
	struct fd_note note = fdtable_get(number);

	if (note.cookie != cookie)
		return -1;
	if (!note.closed_ns && note.connect_ms != connect_ms) {
		note.connect_ms = connect_ms;
		fdtable_set(number, &note);
	}
	return note.next_copy - 1;
}

void fdtable_connect(int number, uint64_t cookie, uint32_t connect_ms)
{
	int at = cookie ? note_connect(number, cookie, connect_ms) : -1;

	for (int i = 0; i < MOST_COPIES && !connect_ms && at >= 0 && at != number; i++)
		at = note_connect(at, cookie, 0);
}

uint64_t fdtable_connects(int number)
{
	const struct fd_note note = fdtable_get(number);

	return note.closed_ns || !note.connect_ms ? 0 : note.cookie;
}

void fdtable_copy(int number, int copy)
{
	struct fd_note note = fdtable_get(number), of_copy = note;

	if (number == copy)
		return;
	of_copy.next_copy = note.next_copy ? note.next_copy : number + 1;
	note.next_copy = copy + 1;
	fdtable_set(copy, &of_copy);
	if (note.cookie)
		fdtable_set(number, &note);
}

int fdtable_other(int number, const struct fd_note *note)
{
	int at = note->next_copy - 1;

	for (int i = 0; i < MOST_COPIES && at >= 0 && at != number; i++) {
		const struct fd_note other = fdtable_get(at);

		if (other.cookie != note->cookie)
			return -1; /* it has become another's */
		if (!other.closed_ns)
			return at;
		at = other.next_copy - 1;
	}
	return -1;
}

void fdtable_close(int number, enum call_id call, int32_t tid, uint32_t stack, uint64_t now_ns)
{
	struct fd_note note = fdtable_get(number);

	if (!note.cookie)
		return;
	note.closed_ns = now_ns;
	note.closed_by = tid;
	note.closed_at = stack;
	note.closed_call = (uint8_t)call;
	note.closed_other = false;
	fdtable_set(number, &note);
}

void fdtable_close_other(int number, enum call_id call, int32_t tid, uint32_t stack,
			 uint64_t now_ns)
{
	const struct fd_note note = {
		.cookie = fdtable_get(number).cookie,
		.closed_ns = now_ns,
		.closed_by = tid,
		.closed_at = stack,
		.closed_call = (uint8_t)call,
		.closed_other = true,
	};

	if (note.cookie)
		fdtable_set(number, &note);
}

void fdtable_reopen(int number)
{
	struct fd_note note = fdtable_get(number);

	if (!note.closed_ns)
		return;
	note.closed_ns = 0;
	note.connect_ms = 0;
	fdtable_set(number, &note);
}

static bool is_open(int number)
{
	const struct fd_note note = fdtable_get(number);

	return note.cookie && !note.closed_ns;
}

int fdtable_next(int number)
{
	for (; number >= 0 && number < MOST_NUMBERS; number++) {
		if (!atomic_load_explicit(piece_of(number), memory_order_relaxed))
			number |= FDTABLE_PIECE - 1;
		else if (is_open(number))
			return number;
	}
	return -1;
}

bool fdtable_fork(struct fdtable *ret, const struct fdtable *parents)
{
	for (size_t i = 0; i < FDTABLE_PIECES; i++) {
		const struct fdtable_piece *piece = atomic_load(&parents->pieces[i]);
		void *copy = piece ? sys_mmap_pages(sizeof(*piece)) : NULL;

		if (sys_failed(copy))
			return false;
		if (copy)
			memcpy(copy, piece, sizeof(*piece));
		atomic_store(&ret->pieces[i], copy);
	}
	return true;
}

void fdtable_free(struct fdtable *table)
{
	for (size_t i = 0; i < FDTABLE_PIECES; i++) {
		struct fdtable_piece *piece = atomic_exchange(&table->pieces[i], NULL);

		if (piece)
			sys_munmap(piece, sizeof(*piece));
	}
}
