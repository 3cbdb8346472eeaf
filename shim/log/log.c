/*
 * log.c - see log.h. Nothing is kept back: when event_emit returns, the line is
 * in the kernel's hands or counted as lost.
 */
#include "log/log.h"

#include "facts/shim.h"
#include "log/render.h"
#include "log/sink.h"
#include "sys/process.h"
#include "sys/sys.h"

/*
 * Most lines are short, and the stack may be too: a line that does not fit is made
 * again in a page mapped for it.
 */
enum { SHORT_LINE = 512, LONGEST_LINE = 4096 };

static struct out render(char *buf, size_t size, const struct event *ev)
{
	struct out line = out_into(buf, size);

	if (shim.set.format == FORMAT_JSON)
		render_json(&line, ev);
	else
		render_text(&line, ev, shim.colored);
	return line;
}

static bool write_long_line(const struct event *ev)
{
	char *page = sys_mmap_pages(LONGEST_LINE);
	bool written = false;

	if (sys_failed(page))
		return false;

	const struct out line = render(page, LONGEST_LINE, ev);

	if (!line.truncated)
		written = sink_write(line.start, out_len(&line));
	sys_munmap(page, LONGEST_LINE);
	return written;
}

static bool write_line(const struct event *ev)
{
	char buf[SHORT_LINE];
	const struct out line = render(buf, sizeof(buf), ev);

	return line.truncated ? write_long_line(ev) : sink_write(line.start, out_len(&line));
}

void event_emit(struct event *ev)
{
	if (shim.silent && ev->call != CALL_exit)
		return;
	ev->seq = atomic_fetch_add_explicit(&this_process.seq, 1, memory_order_relaxed) + 1;
	ev->lost = atomic_load_explicit(&this_process.lost, memory_order_relaxed);
	if (ev->lost)
		ev->lost = atomic_exchange(&this_process.lost, 0);
	if (ev->lost)
		ev->notes |= NOTE_BIT(NOTE_LOST_EVENTS);
	if (!write_line(ev))
		atomic_fetch_add(&this_process.lost, ev->lost + 1);
}
