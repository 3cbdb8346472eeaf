/* SPDX-License-Identifier: MIT */
/*
 * log.c - see log.h. Nothing is kept back but repeated failures: when event_emit returns,
 * the line is in the kernel's hands or counted as lost.
 */
#include "log/log.h"

#include "facts/shim.h"
#include "log/record.h"
#include "log/render.h"
#include "log/repeats.h"
#include "log/ring.h"
#include "log/sink.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/work.h"

/*
 * Most lines are short, and the stack may be too: a line that does not fit is made
 * again in room of its own.
 */
enum { SHORT_LINE = 432, LONGEST_LINE = 4096, LONGEST_ENTRY = 8192 };
_Static_assert((int)LONGEST_ENTRY <= (int)WORK_SIZE, "there is room for an entry");
_Static_assert(sizeof(((struct repeats *)0)->room) >= RECORD_SHORT, "a record fits");

static void render(struct out *line, const struct event *ev)
{
	const struct text_style style = {
		.colored = shim.colored,
		.utf8 = shim.utf8,
		.width = shim.set.format == FORMAT_TEXT ? sink_width() : 0,
	};

	if (shim.set.format == FORMAT_JSON)
		render_json(line, ev);
	else
		render_text(line, ev, &style);
}

static __attribute__((noinline)) bool write_long_line(const struct event *ev)
{
	struct work work;
	bool written = false;

	if (!work_begin(&work))
		return false;

	struct out line = out_into(work.room, LONGEST_LINE);

	if (shim.set.log == LOG_JOURNAL) {
		line = out_into(work.room, LONGEST_ENTRY);
		render_journal(&line, ev);
	} else {
		render(&line, ev);
	}
	/* Who can't write to a stopped terminal can be interrupted all the same. */
	if (sink_may_wait())
		work_let_signals_come(&work);
	if (!line.truncated)
		written = sink_write(line.start, out_len(&line));
	work_end(&work);
	return written;
}

/* In the room, if there is enough. */
static bool write_short_line(const struct event *ev, char *room, size_t size, bool *ret_too_long)
{
	struct out line = out_into(room, size);

	render(&line, ev);
	*ret_too_long = line.truncated;
	return !line.truncated && sink_write(line.start, out_len(&line));
}

static __attribute__((noinline)) bool write_line_by_stack(const struct event *ev,
							  bool *ret_too_long)
{
	char room[SHORT_LINE];

	return write_short_line(ev, room, sizeof(room), ret_too_long);
}

/*
 * A line with frames is never short: it shows as many as there is room for. Nor is an entry of the
 * journal.
 */
static bool is_long(const struct event *ev)
{
	return ev->stack != 0 || shim.set.log == LOG_JOURNAL;
}

static bool write_line(const struct event *ev)
{
	bool too_long = is_long(ev);
	bool written = !too_long && write_line_by_stack(ev, &too_long);

	return too_long ? write_long_line(ev) : written;
}

static bool write_line_in(struct repeats *repeats, const struct event *ev)
{
	bool too_long = is_long(ev);
	bool written = !too_long && write_short_line(ev, (char *)repeats->room,
						     sizeof(repeats->room), &too_long);

	return too_long ? write_long_line(ev) : written;
}

/* How many were lost before this one: told with it, or counted on. */
static inline uint64_t tell_lost(struct event *ev)
{
	uint64_t lost = atomic_load_explicit(&this_process.lost, memory_order_relaxed);

	if (lost)
		lost = atomic_exchange(&this_process.lost, 0);
	if (lost) {
		ev->notes |= NOTE_BIT(NOTE_LOST_EVENTS);
		ev->figures.lost = lost;
	}
	return lost;
}

static uint64_t next_seq(void)
{
	return atomic_fetch_add_explicit(&this_process.seq, 1, memory_order_relaxed) + 1;
}

static uint64_t begin_event(struct event *ev)
{
	ev->seq = next_seq();
	return tell_lost(ev);
}

/* Not written: it is lost, as are those that it would have told of. */
static void count_lost(uint64_t told)
{
	atomic_fetch_add(&this_process.lost, told + 1);
}

static bool write_anywhere(const struct event *ev)
{
	return shim.set.log == LOG_RING ? ring_append(ev) : write_line(ev);
}

static void write_event(struct event *ev)
{
	const uint64_t lost = begin_event(ev);

	if (!write_anywhere(ev))
		count_lost(lost);
}

/*
 * In the flight recorder a repeated failure has its record from the first repetition on, which
 * is written anew with each. There it survives the process. Two places take turns: while one is
 * written, the other holds what was before. Where there is no place for the first, it is lost,
 * and the next one is the first again.
 */
static void record_repeated(struct repeats *repeats, struct failure *failure)
{
	struct event *ev = &failure->ev;
	const bool first = ev->more.repeated.times == 1;

	if (first)
		ev->seq = next_seq();
	if (ring_rewrite(ev, &failure->spots[ev->more.repeated.times % 2], repeats->room,
			 sizeof(repeats->room))) {
		failure->recorded = ev->more.repeated.times;
	} else if (first) {
		count_lost(0);
		failure_told(failure, 0);
	}
}

/* That many calls are told by no event. */
static void count_untold(uint64_t calls)
{
	atomic_fetch_add(&this_process.seq, calls);
	atomic_fetch_add(&this_process.lost, calls);
}

/* An event that is lost is that of one call; the others are told with the next one. */
static void tell_repeated(struct repeats *repeats, struct failure *failure)
{
	const uint64_t times = failure->ev.more.repeated.times;
	uint64_t left = 0, lost;

	if (!failure->kept || !times)
		return;
	if (shim.set.log == LOG_RING) {
		count_untold(times - failure->recorded);
	} else {
		lost = begin_event(&failure->ev);
		if (!write_line_in(repeats, &failure->ev)) {
			count_lost(lost);
			left = times - 1;
		}
	}
	failure_told(failure, left);
}

/* None like it will follow: the others that a lost event stood for are lost as well. */
static void tell_for_good(struct repeats *repeats, struct failure *failure)
{
	tell_repeated(repeats, failure);
	if (!failure->kept || !failure->ev.more.repeated.times)
		return;
	count_untold(failure->ev.more.repeated.times);
	failure_told(failure, 0);
}

static void tell_last(struct repeats *repeats)
{
	for (unsigned int i = 0; i < REPEATS_KEPT; i++)
		tell_for_good(repeats, &repeats->failures[i]);
}

static void tell_all_threads(void)
{
	repeats_each(tell_last, clock_ns(CLOCK_MONOTONIC));
}

/* Before the event is told: what was counted of its socket; and what it displaces. */
static void make_way(struct repeats *repeats, const struct event *ev)
{
	struct failure *place;

	for (unsigned int i = 0; i < REPEATS_KEPT; i++)
		if (failure_ends_before(&repeats->failures[i], ev)) {
			tell_for_good(repeats, &repeats->failures[i]);
			failure_ended(&repeats->failures[i]);
		}
	if (!ev->error)
		return;
	place = repeats_place(repeats, ev);
	tell_for_good(repeats, place);
	failure_keep(place, ev);
}

/* Is the event counted, instead of being told? */
static __attribute__((noinline)) bool count(struct repeats *repeats, const struct event *ev)
{
	struct failure *same = repeats_find(repeats, ev);
	const bool counts = same && failure_may_count(same, ev);

	for (unsigned int i = 0; i < REPEATS_KEPT; i++)
		if (failure_is_overdue(&repeats->failures[i], ev))
			tell_repeated(repeats, &repeats->failures[i]);
	if (!counts) {
		make_way(repeats, ev);
		return false;
	}
	failure_count(same, ev);
	if (shim.set.log == LOG_RING)
		record_repeated(repeats, same);
	return true;
}

void event_emit(struct event *ev)
{
	struct repeats *repeats;
	bool counted = false;

	if (shim.silent && ev->call != CALL_exit)
		return;
	if (ev->notes & NOTE_BIT(NOTE_SANDBOXED))
		tell_all_threads();
	repeats = repeats_hold(ev);
	if (repeats) {
		counted = count(repeats, ev);
		repeats_release(repeats, ev);
	}
	if (!counted)
		write_event(ev);
}

/* Others may be quicker to take the room: it is tried some times, not until the time is up. */
static bool write_patiently(const struct event *ev)
{
	enum { TRIES = 8 };
	uint64_t left_ns = UINT64_C(50000000), began_ns, took_ns;

	for (int tries = 1; !write_anywhere(ev); tries++) {
		began_ns = clock_ns(CLOCK_MONOTONIC);
		if (tries == TRIES || !left_ns || !sink_await_room(left_ns))
			return false;
		took_ns = clock_ns(CLOCK_MONOTONIC) - began_ns;
		left_ns -= took_ns < left_ns ? took_ns : left_ns;
	}
	return true;
}

void event_emit_losses(struct event *ev)
{
	const uint64_t lost = shim.silent ? 0 : tell_lost(ev);

	if (!lost)
		return;
	ev->seq = next_seq();
	if (!write_patiently(ev))
		count_lost(lost);
}

void log_thread_ends(void)
{
	struct repeats *repeats;

	if (!shim_acts() || !process_owner())
		return;
	repeats = repeats_of_ending_thread(process_tid(), clock_ns(CLOCK_MONOTONIC));
	if (!repeats)
		return;
	tell_last(repeats);
	repeats_forget();
}

void log_end(void)
{
	repeats_end(process_owner());
	tell_all_threads();
}
