/*
 * note_text.c - see note_text.h.
 */
#include "log/note_text.h"

#include "facts/shim.h"

static void out_mode(struct out *out)
{
	static const char *const modes[] = {
		[REUSE_AUTO] = "auto",
		[REUSE_FORCE] = "force",
		[REUSE_GENTLE] = "gentle",
		[REUSE_OFF] = "off",
	};

	out_str(out, " (TCPSHIM_REUSE=");
	out_str(out, modes[shim.set.reuse]);
	out_char(out, ')');
}

static void out_enabled(struct out *out, const struct event *ev)
{
	if (ev->prepared & REUSED_ADDR)
		out_str(out, "SO_REUSEADDR");
	if (ev->prepared == (REUSED_ADDR | REUSED_PORT))
		out_str(out, " and ");
	if (ev->prepared & REUSED_PORT)
		out_str(out, "SO_REUSEPORT");
	if (ev->call == CALL_listen)
		out_str(out, " enabled before listen, so that the next run can bind");
	else if (shim.set.reuse == REUSE_GENTLE)
		out_str(out, " enabled after a first EADDRINUSE");
	else
		out_str(out, " enabled first");
	out_mode(out);
}

static void out_lost(struct out *out, const struct event *ev)
{
	out_u64(out, ev->lost);
	out_str(out, ev->lost == 1 ? " event" : " events");
	out_str(out, " before this one could not be written");
}

void out_note(struct out *out, enum note_id note, const struct event *ev)
{
	switch (note) {
	case NOTE_REUSE_ENABLED:
		out_enabled(out, ev);
		return;
	case NOTE_REUSE_RESPECTED:
		out_str(out, "SO_REUSEADDR left off, because the program itself set it to 0");
		out_mode(out);
		return;
	case NOTE_SANDBOXED:
		out_str(out, "the program installs a seccomp filter; "
			     "from here on the shim steps aside, unless that fails");
		return;
	case NOTE_LOST_EVENTS:
		out_lost(out, ev);
		return;
	case NOTE_COUNT:
		return;
	}
}
