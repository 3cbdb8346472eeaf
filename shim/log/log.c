/*
 * log.c - see log.h. Nothing is kept back: when event_emit returns, the line is
 * in the kernel's hands or counted as lost.
 */
#include "log/log.h"

#include "facts/shim.h"
#include "log/render.h"
#include "log/ring.h"
#include "log/sink.h"
#include "sys/process.h"
#include "sys/work.h"

/*
 * Most lines are short, and the stack may be too: a line that does not fit is made
 * again in room of its own.
 */
enum { SHORT_LINE = 448, LONGEST_LINE = 4096 };

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

static bool write_long_line(const struct event *ev)
{
	struct work work;
	bool written = false;

	if (!work_begin(&work))
		return false;

	struct out line = out_into(work.room, LONGEST_LINE);

	render(&line, ev);
	if (!line.truncated)
		written = sink_write(line.start, out_len(&line));
	work_end(&work);
	return written;
}

static __attribute__((noinline)) bool write_short_line(const struct event *ev, bool *ret_too_long)
{
	char buf[SHORT_LINE];
	struct out line = out_into(buf, sizeof(buf));

	render(&line, ev);
	*ret_too_long = line.truncated;
	return !line.truncated && sink_write(line.start, out_len(&line));
}

/* A line with frames is never short: it shows as many as there is room for. */
static bool write_line(const struct event *ev)
{
	bool too_long = ev->stack != 0;
	bool written = !too_long && write_short_line(ev, &too_long);

	return too_long ? write_long_line(ev) : written;
}

/* How many were lost before this one: told with it, or counted on. */
static uint64_t tell_lost(struct event *ev)
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

void event_emit(struct event *ev)
{
	uint64_t lost;

	if (shim.silent && ev->call != CALL_exit)
		return;
	ev->seq = atomic_fetch_add_explicit(&this_process.seq, 1, memory_order_relaxed) + 1;
	lost = tell_lost(ev);
	if (!(shim.set.log == LOG_RING ? ring_append(ev) : write_line(ev)))
		atomic_fetch_add(&this_process.lost, lost + 1);
}
