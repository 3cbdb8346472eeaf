/*
 * log.c - see log.h. Nothing is kept back: when event_emit returns, the line is
 * in the kernel's hands or counted as lost.
 */
#include "log/log.h"

#include "facts/shim.h"
#include "log/render.h"
#include "log/sink.h"
#include "sys/process.h"

/* Every line of an event without frames fits; tests/unit/test_render.c has the longest. */
enum { LINE_SIZE = 1024 };

static bool write_line(const struct event *ev)
{
	char buf[LINE_SIZE];
	struct out line = out_into(buf, sizeof(buf));

	if (shim.set.format == FORMAT_JSON)
		render_json(&line, ev);
	else
		render_text(&line, ev, shim.colored);
	return !line.truncated && sink_write(buf, out_len(&line));
}

void event_emit(struct event *ev)
{
	ev->seq = atomic_fetch_add_explicit(&this_process.seq, 1, memory_order_relaxed) + 1;
	ev->lost = atomic_load_explicit(&this_process.lost, memory_order_relaxed);
	if (ev->lost)
		ev->lost = atomic_exchange(&this_process.lost, 0);
	if (ev->lost)
		ev->notes |= NOTE_BIT(NOTE_LOST_EVENTS);
	if (!write_line(ev))
		atomic_fetch_add(&this_process.lost, ev->lost + 1);
}
