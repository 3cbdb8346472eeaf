/* SPDX-License-Identifier: MIT */
/*
 * repeats.c - see repeats.h. The sets lie in memory that a fork wipes, since what the parent
 * has counted is the parent's to tell; a vfork child makes no events. It comes in pieces, which
 * are mapped when so many threads have failed.
 *
 * A set is held while it is used: by its thread, by one that ends the process, by one that
 * looks for a set that nobody needs any more. Nobody waits for it but who ends the process.
 * A handler that comes in between tells its event as it is. Who was jumped out of it, by
 * such a handler, has left it held: after some seconds it is taken all the same.
 */
#include "log/repeats.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "facts/event_shape.h"
#include "sys/sys.h"
#include "sys/thread_end.h"

enum { PIECE_SEATS = 16, PIECES = 64 };
#define ABANDONED_NS (10 * REPEATED_FOR_NS)

/* The seats lie together: who looks for one need not touch the sets. */
struct seat {
	_Atomic(int32_t) tid;	   /* whose; 0: nobody's */
	_Atomic(uint64_t) held_ns; /* CLOCK_MONOTONIC, since when; 0: it is not */
	_Atomic(uint64_t) idle_ns; /* from when on what it keeps is of no use any more */
	struct repeats *repeats;   /* its set */
};

struct piece {
	struct seat seats[PIECE_SEATS];
	struct repeats repeats[PIECE_SEATS];
};

static _Atomic(struct piece *) pieces[PIECES];
static _Atomic(int32_t) ended; /* the process that has come to its end */

/* The seat of this thread, which may be another's by now. */
static __thread struct seat *mine;

__thread bool repeats_watch;

static uint64_t end_of(const struct event *ev)
{
	return ev->began_ns + ev->dur_ns;
}

/* Where it is missing it is made. Who comes second throws his away. */
static struct piece *piece_made(unsigned int number)
{
	struct piece *piece = atomic_load_explicit(&pieces[number], memory_order_acquire), *made;

	if (piece)
		return piece;
	made = sys_mmap_pages(sizeof(*made));
	if (sys_failed(made))
		return NULL;
	if (sys_madvise(made, sizeof(*made), MADV_WIPEONFORK) == 0 &&
	    atomic_compare_exchange_strong(&pieces[number], &piece, made))
		return made;
	sys_munmap(made, sizeof(*made));
	return piece;
}

static bool hold(struct seat *seat, uint64_t now_ns)
{
	uint64_t held = 0;

	if (atomic_compare_exchange_strong(&seat->held_ns, &held, now_ns | 1))
		return true;
	return now_ns > held && now_ns - held > ABANDONED_NS &&
	       atomic_compare_exchange_strong(&seat->held_ns, &held, now_ns | 1);
}

static void let_go(struct seat *seat)
{
	atomic_store_explicit(&seat->held_ns, 0, memory_order_release);
}

/* Held; false where it is another's by now. */
static bool hold_mine(struct seat *seat, int32_t tid, uint64_t now_ns)
{
	if (atomic_load_explicit(&seat->tid, memory_order_relaxed) != tid || !hold(seat, now_ns))
		return false;
	if (atomic_load_explicit(&seat->tid, memory_order_relaxed) == tid)
		return true;
	let_go(seat);
	return false;
}

static bool is_free(struct seat *seat, uint64_t now_ns)
{
	return atomic_load_explicit(&seat->idle_ns, memory_order_relaxed) <= now_ns;
}

/* A seat of the piece that nobody needs: held, and its set empty. */
static struct seat *take_seat(struct piece *piece, int32_t tid, uint64_t now_ns)
{
	for (unsigned int i = 0; i < PIECE_SEATS; i++) {
		struct seat *seat = &piece->seats[i];

		if (!is_free(seat, now_ns) || !hold(seat, now_ns))
			continue;
		if (is_free(seat, now_ns)) {
			atomic_store(&seat->tid, tid);
			memset(&piece->repeats[i], 0, sizeof(piece->repeats[i]));
			seat->repeats = &piece->repeats[i];
			mine = seat;
			thread_end_await();
			return seat;
		}
		let_go(seat);
	}
	return NULL;
}

static struct seat *take_any_seat(int32_t tid, uint64_t now_ns)
{
	for (unsigned int i = 0; i < PIECES; i++) {
		struct piece *piece = piece_made(i);
		struct seat *seat = piece ? take_seat(piece, tid, now_ns) : NULL;

		if (seat || !piece)
			return seat;
	}
	return NULL;
}

static struct seat *hold_seat(const struct event *ev)
{
	struct seat *seat = mine;

	if (seat) {
		if (hold_mine(seat, ev->tid, end_of(ev)))
			return seat;
		if (atomic_load(&seat->tid) == ev->tid)
			return NULL; /* we are at it already */
		mine = NULL;
		repeats_watch = false;
	}
	return ev->error ? take_any_seat(ev->tid, end_of(ev)) : NULL;
}

struct repeats *repeats_hold_set(const struct event *ev)
{
	struct seat *seat = hold_seat(ev);

	if (!seat || atomic_load(&ended) != ev->pid)
		return seat ? seat->repeats : NULL;
	let_go(seat);
	return NULL;
}

void repeats_release(struct repeats *repeats, const struct event *ev)
{
	struct seat *seat = mine;
	uint64_t idle_ns = end_of(ev) + REPEATED_FOR_NS;

	/* A handler has come in between for so long that the set was taken for an abandoned one. */
	if (!seat || seat->repeats != repeats || atomic_load(&seat->tid) != ev->tid)
		return;
	repeats_watch = false;
	for (unsigned int i = 0; i < REPEATS_KEPT; i++) {
		const struct failure *failure = &repeats->failures[i];

		if (failure->kept && failure->ev.more.repeated.times)
			idle_ns = UINT64_MAX;
		repeats_watch |= failure->kept &&
				 (failure->ev.more.repeated.times || !failure->ev.sock.cookie);
	}
	atomic_store_explicit(&seat->idle_ns, idle_ns, memory_order_relaxed);
	let_go(seat);
}

/* A connect of another socket to the same peer fails alike, unless it goes on or has worked. */
static bool is_of_socket(const struct event *ev)
{
	return ev->call != CALL_connect || ev->error == EINPROGRESS || ev->error == EALREADY ||
	       ev->error == EINTR || ev->error == EISCONN || !ev->sock.peer.family;
}

static bool same_socket(const struct event *a, const struct event *b)
{
	return a->has_fd == b->has_fd && a->fd == b->fd && a->sock.cookie == b->sock.cookie &&
	       a->sock.state == b->sock.state &&
	       memcmp(&a->sock.local, &b->sock.local, sizeof(a->sock.local)) == 0;
}

static bool same_args(const struct event *a, const struct event *b)
{
	return a->has_args == b->has_args && memcmp(&a->args, &b->args, sizeof(a->args)) == 0 &&
	       (call_more((enum call_id)a->call) != PART_VALUE ||
		memcmp(&a->more.value, &b->more.value, sizeof(a->more.value)) == 0);
}

static bool is_alike(const struct event *a, const struct event *b)
{
	return a->call == b->call && a->error == b->error && a->by_shim == b->by_shim &&
	       a->stack == b->stack &&
	       memcmp(&a->sock.peer, &b->sock.peer, sizeof(a->sock.peer)) == 0 && same_args(a, b) &&
	       (!is_of_socket(a) || same_socket(a, b));
}

struct failure *repeats_find(struct repeats *repeats, const struct event *ev)
{
	for (unsigned int i = 0; ev->error && i < REPEATS_KEPT; i++)
		if (repeats->failures[i].kept && is_alike(&repeats->failures[i].ev, ev))
			return &repeats->failures[i];
	return NULL;
}

static bool within_a_second(const struct failure *failure, const struct event *ev)
{
	return end_of(ev) < failure->told_ns + REPEATED_FOR_NS;
}

/* An accept that worked is of the listener as well. */
static bool is_of_same(const struct event *a, const struct event *b)
{
	return (a->has_fd && b->has_fd && a->fd == b->fd) ||
	       (a->sock.cookie && a->sock.cookie == b->sock.cookie);
}

bool failure_is_overdue(const struct failure *failure, const struct event *ev)
{
	return failure->kept && failure->ev.more.repeated.times && !within_a_second(failure, ev);
}

bool failure_ends_before(const struct failure *failure, const struct event *ev)
{
	if (!failure->kept)
		return false;
	if (is_of_same(&failure->ev, ev))
		return failure->ev.more.repeated.times || !failure->ev.sock.cookie;
	return !ev->error && !failure->ev.sock.cookie && failure->ev.has_fd &&
	       failure->ev.fd == ev->ret;
}

void failure_ended(struct failure *failure)
{
	if (!failure->ev.sock.cookie)
		failure->kept = false;
}

bool failure_may_count(const struct failure *failure, const struct event *ev)
{
	return within_a_second(failure, ev) && !(ev->notes & ~failure->notes);
}

/* The last call of its kind: all that it says but its notes. */
static void take(struct failure *failure, const struct event *ev)
{
	memcpy(&failure->ev, ev, offsetof(struct event, more));
	if (call_more((enum call_id)ev->call) == PART_VALUE)
		memcpy(&failure->ev.more.value, &ev->more.value, sizeof(ev->more.value));
	failure->ev.notes = 0;
}

void failure_count(struct failure *failure, const struct event *ev)
{
	const uint64_t seq = failure->ev.seq;

	take(failure, ev);
	failure->ev.seq = seq;
	failure->ev.more.repeated.times++;
	failure->ev.has_repeated = true;
}

void failure_told(struct failure *failure, uint64_t left)
{
	failure->ev.notes = 0; /* but for events that were lost before */
	memset(&failure->ev.figures, 0, sizeof(failure->ev.figures));
	failure->ev.more.repeated.times = left;
	failure->ev.has_repeated = left != 0;
	if (!left) {
		failure->ev.more.repeated.since_ns = end_of(&failure->ev);
		failure->recorded = 0;
		memset(failure->spots, 0, sizeof(failure->spots));
	}
}

struct failure *repeats_place(struct repeats *repeats, const struct event *ev)
{
	struct failure *oldest = repeats_find(repeats, ev);

	for (unsigned int i = 0; !oldest && i < REPEATS_KEPT; i++)
		if (!repeats->failures[i].kept)
			return &repeats->failures[i];
	if (oldest)
		return oldest;
	oldest = &repeats->failures[0];
	for (unsigned int i = 1; i < REPEATS_KEPT; i++)
		if (end_of(&repeats->failures[i].ev) < end_of(&oldest->ev))
			oldest = &repeats->failures[i];
	return oldest;
}

void failure_keep(struct failure *failure, const struct event *ev)
{
	const bool again =
		failure->kept && is_alike(&failure->ev, ev) && within_a_second(failure, ev);

	failure->notes = ev->notes | (again ? failure->notes : 0);
	take(failure, ev);
	failure_told(failure, 0);
	failure->told_ns = end_of(ev);
	failure->kept = true;
}

/* A thread that runs on is at its set for microseconds at a time. */
static bool hold_in_time(struct seat *seat, uint64_t now_ns)
{
	enum { TRIES = 20 };

	for (int i = 0; i < TRIES; i++) {
		const struct timespec moment = {.tv_nsec = 100000};

		if (hold(seat, now_ns))
			return true;
		sys_sleep(&moment);
	}
	return false;
}

struct repeats *repeats_of_ending_thread(int32_t tid, uint64_t now_ns)
{
	if (!mine || atomic_load(&mine->tid) != tid)
		return NULL;
	/* Where it stays held, the thread was cancelled in the midst. */
	if (!hold_in_time(mine, now_ns))
		hold(mine, UINT64_MAX);
	return mine->repeats;
}

void repeats_forget(void)
{
	struct seat *seat = mine;

	mine = NULL;
	repeats_watch = false;
	atomic_store(&seat->tid, 0);
	atomic_store(&seat->idle_ns, 0);
	let_go(seat);
}

void repeats_turn_to(const struct repeats_thread *next, struct repeats_thread *leaves)
{
	*leaves = (struct repeats_thread){.seat = mine, .watch = repeats_watch};
	mine = next->seat;
	repeats_watch = next->watch;
}

void repeats_end(int32_t pid)
{
	atomic_store(&ended, pid);
}

void repeats_each(void (*visit)(struct repeats *repeats), uint64_t now_ns)
{
	for (unsigned int i = 0; i < PIECES * PIECE_SEATS; i++) {
		struct piece *piece = atomic_load(&pieces[i / PIECE_SEATS]);
		struct seat *seat;

		if (!piece)
			return;
		seat = &piece->seats[i % PIECE_SEATS];
		if (!atomic_load(&seat->tid) || !hold_in_time(seat, now_ns))
			continue;
		visit(&piece->repeats[i % PIECE_SEATS]);
		let_go(seat);
	}
}
