/*
 * unclosed.c - see unclosed.h.
 *
 * CLOSE_WAIT ends by the program's close alone. The peer's FIN came with the last segment or before
 * it, so the time since then is the least; and while data still goes to a peer that has closed one
 * half, its acknowledgements keep that time short.
 */
#include "unclosed.h"

#include <stdio.h>
#include <string.h>

#include "facts/out.h"

static bool is_unclosed(const struct port_sock *row)
{
	enum { A_MOMENT_MS = 1000 };

	return row->sock.state == STATE_CLOSE_WAIT && row->sock.silent_ms >= A_MOMENT_MS;
}

/* Those that are told of together: the same program, as far as it is seen. */
static bool is_same(const struct port_sock *a, const struct port_sock *b)
{
	const struct owners *x = a->owners, *y = b->owners;

	if (!x || !y)
		return !x && !y;
	if (x->count != y->count)
		return false;
	return x->count ? x->named[0].pid == y->named[0].pid : a->sock.uid == b->sock.uid;
}

/* Who has it. Return whether that is more than one. */
static bool out_who(struct out *out, const struct port *port, const struct port_sock *row)
{
	static const char *const unseen[] = {
		[SEES_NONE] = "a process (no /proc to find it in), uid ",
		[SEES_OURS] = "a process of another user, uid ",
		[SEES_ALL] = "a process out of sight, uid ",
	};
	const struct owners *owners = row->owners;

	if (!owners->count) {
		out_str(out, unseen[port->sight]);
		out_u64(out, row->sock.uid);
		out_char(out, ',');
		return false;
	}
	out_plain(out, owners->named[0].prog, strlen(owners->named[0].prog));
	out_str(out, " (");
	out_i64(out, owners->named[0].pid);
	out_char(out, ')');
	if (owners->count > 1) {
		out_str(out, " and ");
		out_u64(out, owners->count - 1);
		out_str(out, owners->count == 2 ? " other" : " others");
	}
	return owners->count > 1;
}

/* In the largest unit of which there is more than one, rounded down. */
static void out_age(struct out *out, uint32_t ms)
{
	static const struct {
		uint32_t ms;
		const char *name;
	} units[] = {{86400000, " days"}, {3600000, " h"}, {60000, " min"}, {1000, " s"}};
	size_t i = 0;

	while (i + 1 < sizeof(units) / sizeof(units[0]) && ms < 2 * units[i].ms)
		i++;
	out_u64(out, ms / units[i].ms);
	out_str(out, units[i].name);
}

static void print_group(const struct port *port, const struct port_sock *first, size_t count,
			uint32_t longest_ms)
{
	char line[512];
	struct out out = out_into(line, sizeof(line) - 1);
	const char *const one = count == 1 ? " connection whose peer closed at least "
					   : " connections whose peers closed, the first at least ";

	if (!first->owners) {
		out_str(&out, "nobody has accepted ");
		out_u64(&out, count);
		out_str(&out, one);
		out_age(&out, longest_ms);
		out_str(&out, " ago");
	} else {
		const bool several = out_who(&out, port, first);

		out_str(&out, several ? " have " : " has ");
		out_u64(&out, count);
		out_str(&out, one);
		out_age(&out, longest_ms);
		out_str(&out, several ? " ago: they do not close " : " ago: it does not close ");
		out_str(&out, count == 1 ? "it" : "them");
	}
	*out.at = '\0';
	puts(line);
}

/* Is there one of the same before it? Then it has been told of. */
static bool is_told(const struct port *port, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_unclosed(&port->socks[k]) && is_same(&port->socks[k], &port->socks[i]))
			return true;
	return false;
}

static void tell(const struct port *port, size_t first)
{
	size_t count = 0;
	uint32_t longest_ms = 0;

	for (size_t i = first; i < port->count; i++) {
		const struct port_sock *row = &port->socks[i];

		if (!is_unclosed(row) || !is_same(row, &port->socks[first]))
			continue;
		count++;
		if (row->sock.silent_ms > longest_ms)
			longest_ms = row->sock.silent_ms;
	}
	print_group(port, &port->socks[first], count, longest_ms);
}

void unclosed_print(const struct port *port)
{
	bool any = false;

	for (size_t i = 0; i < port->count; i++) {
		if (!is_unclosed(&port->socks[i]) || is_told(port, i))
			continue;
		tell(port, i);
		any = true;
	}
	if (any)
		putchar('\n');
}
