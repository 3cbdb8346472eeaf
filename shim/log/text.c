/* SPDX-License-Identifier: MIT */
/*
 * text.c - an event as a line for people, in the shape of strace, the states in a
 * column of their own; notes on lines below.
 */
#include <netinet/in.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/endpoint.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "facts/names.h"
#include "log/args.h"
#include "log/note_text.h"
#include "log/render.h"
#include "log/screen.h"

/*
 * The states begin at a column of their own, behind most calls, and the longest way needs
 * LONGEST_WAY. On a terminal that is too narrow for both the last state stands at the right
 * edge, and before it as much of the way as there is room for.
 */
enum { CALL_COLUMN = 29, STATE_COLUMN = 84, FAR_COLUMN = 114 };
enum { LONGEST_WAY = 61, FULL_WIDTH = STATE_COLUMN + LONGEST_WAY, LONGEST_STATE = 11 };

/* On a narrow terminal: below the program's name. */
enum { NARROW_COLUMN = 13 };

/* "server[4242]", or "server[4242/4250]" in another thread than the first. */
static void out_caller(struct out *out, const struct event *ev)
{
	out_plain(out, ev->prog, strnlen(ev->prog, sizeof(ev->prog)));
	out_char(out, '[');
	out_i64(out, ev->pid);
	if (ev->tid && ev->tid != ev->pid) {
		out_char(out, '/');
		out_i64(out, ev->tid);
	}
	out_char(out, ']');
}

static void separate(struct out *out)
{
	out_str(out, ", ");
}

/* An option's name tells its level. */
static void out_sockopt_args(struct out *out, const struct event *ev, bool narrow)
{
	const int level = ev->args.sockopt.level, option = ev->args.sockopt.option;
	const char *name = option_name(level, option);

	separate(out);
	if (!narrow || !name) {
		out_constant(out, 0, constant_name(NAMES_level, level), level);
		separate(out);
	}
	out_constant(out, 0, name, option);
	separate(out);
	if (ev->more.value.readable)
		out_option_value(out, 0, ev);
	else
		out_char(out, '?');
}

static void out_socket_args(struct out *out, const struct event *ev, bool narrow)
{
	const int domain = ev->args.socket.domain, protocol = ev->args.socket.protocol;
	const int flags = ev->args.socket.type & ~SOCKET_TYPE_MASK;

	out_constant(out, 0, constant_name(NAMES_domain, domain), domain);
	separate(out);
	out_socket_type(out, 0,
			narrow ? ev->args.socket.type & SOCKET_TYPE_MASK : ev->args.socket.type);
	if (narrow && flags)
		out_str(out, "|..");
	if (narrow && (protocol == 0 || protocol == IPPROTO_TCP))
		return;
	separate(out);
	out_constant(out, 0, constant_name(NAMES_protocol, protocol), protocol);
}

static void out_address_arg(struct out *out, const struct endpoint *end)
{
	separate(out);
	if (end->family)
		out_endpoint(out, end);
	else
		out_char(out, '?');
}

static void out_fcntl_args(struct out *out, const struct event *ev)
{
	const int command = ev->args.fcntl.command;

	separate(out);
	out_constant(out, 0, constant_name(NAMES_fcntl, command), command);
	separate(out);
	out_i64(out, ev->args.fcntl.newfd);
}

static void out_text_args(struct out *out, const struct event *ev, bool narrow)
{
	const int how = ev->args.how;

	if (ev->has_fd)
		out_i64(out, ev->fd);
	if (ev->call == CALL_bind || ev->call == CALL_wait)
		out_address_arg(out, &ev->sock.local);
	else if (ev->call == CALL_connect)
		out_address_arg(out, &ev->sock.peer);
	switch (call_args((enum call_id)ev->call)) {
	case PART_SOCKET:
		out_socket_args(out, ev, narrow);
		break;
	case PART_SOCKOPT:
		out_sockopt_args(out, ev, narrow);
		break;
	case PART_BACKLOG:
		separate(out);
		out_i64(out, ev->args.backlog);
		break;
	case PART_HOW:
		separate(out);
		out_constant(out, 0, constant_name(NAMES_how, how), how);
		break;
	case PART_NEWFD:
		separate(out);
		out_i64(out, ev->args.newfd);
		break;
	case PART_FCNTL:
		out_fcntl_args(out, ev);
		break;
	default:
		break;
	}
}

/* "= -1 ECONNREFUSED"; the error's name alone where there is little room. */
static void out_result(struct line *line, const struct event *ev)
{
	const bool number = !ev->error || !line_is_narrow(line);

	if (!ev->has_ret)
		return;
	out_str(line->out, " = ");
	if (number)
		out_i64(line->out, ev->ret);
	if (!ev->error)
		return;
	out_str(line->out, number ? " " : "");
	line_paint(line, ERROR_COLOR);
	out_constant(line->out, 0, error_name(ev->error), ev->error);
	line_paint(line, PLAIN);
}

/* ", 299999 times in 1.1 s"; where one line is one call there is nothing to say. */
static void out_repeated(struct out *out, const struct event *ev)
{
	const uint64_t ms = event_repeated_ns(ev) / 1000000;

	if (!ev->has_repeated || ev->more.repeated.times < 2)
		return;
	out_str(out, ", ");
	out_u64(out, ev->more.repeated.times);
	out_str(out, " times in ");
	out_u64(out, ms < 1000 ? ms : ms / 1000);
	if (ms >= 1000) {
		out_char(out, '.');
		out_u64(out, ms / 100 % 10);
	}
	out_str(out, ms < 1000 ? " ms" : " s");
}

/* " <127.0.0.1:9999 127.0.0.1:50178>", where the arguments do not show it already. */
static void out_ends(struct out *out, const struct event *ev, const struct sock_view *sock)
{
	const bool in_args = ev->call == CALL_bind || ev->call == CALL_wait ||
			     (ev->call == CALL_connect && ev->error);

	if (in_args || !sock->local.family)
		return;
	out_str(out, " <");
	out_endpoint(out, &sock->local);
	if (sock->peer.family) {
		out_char(out, ' ');
		out_endpoint(out, &sock->peer);
	}
	out_char(out, '>');
}

/* What an accept has brought; of other calls the descriptor tells it. */
static void out_new_peer(struct out *out, const struct event *ev)
{
	if ((ev->call != CALL_accept && ev->call != CALL_accept4) || !ev->sock.peer.family)
		return;
	out_str(out, " <");
	out_endpoint(out, &ev->sock.peer);
	out_char(out, '>');
}

/* " after 2.0 s": a call that took long. */
static void out_duration(struct out *out, const struct event *ev)
{
	enum { LONG_NS = 100000000 };

	if (ev->dur_ns < LONG_NS)
		return;
	out_str(out, " after ");
	out_u64(out, ev->dur_ns / 1000000000u);
	out_char(out, '.');
	out_u64(out, ev->dur_ns / 100000000u % 10);
	out_str(out, " s");
}

/* The states before the last one, in order. */
struct way {
	uint8_t states[VIA_MAX + 1];
	unsigned int count;
	bool unseen_start; /* the socket's first state in this process is one that was not seen */
};

static struct way way_of(const struct sock_view *sock)
{
	struct way way = {.unseen_start = sock->was == STATE_UNKNOWN};

	if (sock->was != STATE_UNKNOWN && (sock->was != sock->state || sock->n_via))
		way.states[way.count++] = sock->was;
	for (unsigned int i = 0; i < sock->n_via; i++)
		way.states[way.count++] = sock->via[i];
	return way;
}

/* "ESTABLISHED -> CLOSE_WAIT -> ", without the first so many; unseen: "(SYN_RCVD) -> ". */
static void out_way(struct out *out, const struct way *way, unsigned int skipped)
{
	for (unsigned int i = skipped; i < way->count; i++) {
		const bool unseen = i == 0 && way->unseen_start;

		out_str(out, unseen ? "(" : "");
		out_str(out, state_name((enum tcp_state_id)way->states[i]));
		out_str(out, unseen ? ") -> " : " -> ");
	}
}

/* "(59.7 s)": how long the kernel still keeps it. */
static void out_timer(struct out *out, const struct sock_view *sock)
{
	out_char(out, '(');
	out_u64(out, sock->timer_ms / 1000);
	out_char(out, '.');
	out_u64(out, sock->timer_ms / 100 % 10);
	out_str(out, " s)");
}

static void out_state(struct out *out, const struct sock_view *sock)
{
	out_str(out,
		sock->state == STATE_UNKNOWN ? "?" : state_name((enum tcp_state_id)sock->state));
}

/* "ESTABLISHED -> CLOSE_WAIT -> LAST_ACK -> CLOSED" */
static void out_states(struct out *out, const struct sock_view *sock)
{
	const struct way way = way_of(sock);

	out_way(out, &way, 0);
	out_state(out, sock);
	if (sock->has_timer) {
		out_char(out, ' ');
		out_timer(out, sock);
	}
}

/* The way without its first so many steps, as it stands before a state at the edge. */
static void out_way_to_edge(struct out *out, const struct way *way, const struct sock_view *sock,
			    unsigned int skipped)
{
	out_str(out, skipped ? "-> " : "");
	out_way(out, way, skipped);
	if (sock->has_timer) {
		out_timer(out, sock);
		out_char(out, ' ');
	}
}

static size_t timer_width(const struct sock_view *sock)
{
	size_t width = sizeof("(0.0 s) ") - 1;

	if (!sock->has_timer)
		return 0;
	for (uint32_t seconds = sock->timer_ms / 1000; seconds > 9; seconds /= 10)
		width++;
	return width;
}

/* How long out_way_to_edge makes it: counted, for what is written twice needs twice the stack. */
static size_t way_width(const struct way *way, const struct sock_view *sock, unsigned int skipped)
{
	size_t width = skipped ? sizeof("-> ") - 1 : 0;

	if (!skipped && way->count && way->unseen_start)
		width += sizeof("()") - 1;
	for (unsigned int i = skipped; i < way->count; i++)
		width += strlen(state_name((enum tcp_state_id)way->states[i])) + sizeof(" -> ") - 1;
	return width + timer_width(sock);
}

/* The last state at the right edge, and before it as much of the way as there is room for. */
static __attribute__((noinline)) void out_states_at_edge(struct line *line,
							 const struct sock_view *sock)
{
	const struct way way = way_of(sock);
	const size_t edge = line->width - LONGEST_STATE;
	unsigned int skipped = 0;
	size_t width, room;

	if (line_width(line) >= edge)
		line_next(line, 0);
	room = edge - line_width(line) - 1;
	while ((width = way_width(&way, sock, skipped)) > room && skipped < way.count)
		skipped++;
	line_column(line, width > room ? edge : edge - width);
	line_paint(line, STATE_COLOR);
	if (width <= room)
		out_way_to_edge(line->out, &way, sock, skipped);
	out_state(line->out, sock);
	line_paint(line, PLAIN);
}

/* Behind the call: the states, in their column. */
static __attribute__((noinline)) void out_state_column(struct line *line,
						       const struct sock_view *sock)
{
	const unsigned int width = line->width;
	size_t column;

	if (width && width < FULL_WIDTH) {
		out_states_at_edge(line, sock);
		return;
	}
	column = width > FAR_COLUMN + LONGEST_WAY ? FAR_COLUMN : STATE_COLUMN;
	if (width && line_width(line) >= column)
		line_next(line, 0);
	line_column(line, column);
	line_paint(line, STATE_COLOR);
	out_states(line->out, sock);
	line_paint(line, PLAIN);
}

/* "exit: 3 sockets left open: 1 ESTABLISHED, 2 CLOSE_WAIT" */
static void out_totals(struct out *out, const struct event *ev)
{
	const uint32_t *of_state = ev->more.totals.of_state;
	const char *before = ": ";
	uint32_t all = 0;

	for (unsigned int state = 0; state < STATE_COUNT; state++)
		all += of_state[state];
	out_str(out, ": ");
	out_u64(out, all);
	out_str(out, all == 1 ? " socket left open" : " sockets left open");
	for (unsigned int state = STATE_CLOSED; state < STATE_COUNT; state++) {
		if (!of_state[state])
			continue;
		out_str(out, before);
		out_u64(out, of_state[state]);
		out_char(out, ' ');
		out_str(out, state_name((enum tcp_state_id)state));
		before = ", ";
	}
	if (ev->more.totals.unlisted) {
		out_str(out, " (no time for ");
		out_u64(out, ev->more.totals.unlisted);
		out_str(out, " more descriptors)");
	}
}

static void out_age(struct out *out, uint64_t age_ns)
{
	out_str(out, " open for ");
	out_u64(out, age_ns / 1000000000u);
	out_char(out, '.');
	out_u64(out, age_ns / 100000000u % 10);
	out_str(out, " s");
}

static size_t note_column(const struct line *line)
{
	return line_is_narrow(line) ? NARROW_COLUMN : CALL_COLUMN;
}

/* What follows below the line, wrapped at words, under its head. */
static void note_begin(struct line *line, const char *head)
{
	line_next(line, note_column(line));
	line_paint(line, NOTE_COLOR);
	out_str(line->out, head);
}

static void note_end(struct line *line)
{
	line_paint(line, PLAIN);
	line_wrap(line, note_column(line) + 6);
}

static void out_notes(struct line *line, const struct event *ev)
{
	for (uint64_t left = ev->notes; left; left &= left - 1) {
		const int note = __builtin_ctzll(left);

		note_begin(line, "note: ");
		out_note(line->out, (enum note_id)note, ev);
		note_end(line);
	}
}

/* "at recv_all+0x2a (server 0x13a2)": as many frames as there is room for, nearest first. */
static __attribute__((noinline)) void out_frames(struct line *line, const struct event *ev)
{
	uint64_t number;
	struct out *out = line->out;

	for (unsigned int i = 0; callsite_frame(ev->stack, i, &number); i++) {
		const struct frame *frame = frames_at(number);
		const struct out before = *out;

		if (!frame)
			continue;
		note_begin(line, "at ");
		out_frame(out, frame);
		note_end(line);
		if (out->truncated || out->at == out->end) {
			*out = before;
			break;
		}
	}
}

/* The TCP socket that a dup2 has closed. */
static __attribute__((noinline)) void out_closed(struct line *line, const struct event *ev)
{
	note_begin(line, "closed ");
	out_i64(line->out, ev->more.closed.fd);
	out_ends(line->out, ev, &ev->more.closed.sock);
	out_str(line->out, ": ");
	out_states(line->out, &ev->more.closed.sock);
	note_end(line);
}

/* "17:02:11.042390 server[4242] "; to the millisecond where there is little room. */
static __attribute__((noinline)) void out_head(struct line *line, const struct event *ev)
{
	struct out *out = line->out;

	out_time_of_day(out, ev->time_ns);
	if (line_is_narrow(line) && !out->truncated)
		out->at -= 3;
	out_char(out, ' ');
	out_caller(out, ev);
	out_char(out, ' ');
}

static __attribute__((noinline)) void out_call(struct line *line, const struct event *ev)
{
	struct out *out = line->out;

	line_paint(line, CALL_COLOR);
	out_str(out, call_name((enum call_id)ev->call));
	line_paint(line, PLAIN);
	if (ev->has_totals) {
		out_totals(out, ev);
		return;
	}
	if (ev->call == CALL_exit && !ev->has_fd)
		return;
	out_char(out, '(');
	out_text_args(out, ev, line_is_narrow(line));
	out_char(out, ')');
}

/* The result and what else is known; on a narrow terminal no more than what is new. */
static __attribute__((noinline)) void out_outcome(struct line *line, const struct event *ev)
{
	struct out *out = line->out;
	const bool narrow = line_is_narrow(line);

	if (ev->call != CALL_exit && !(narrow && ev->by_shim && !ev->error))
		out_result(line, ev);
	out_repeated(out, ev);
	if (ev->by_shim)
		out_str(out, narrow ? " (shim)" : " (by libreuse)");
	out_duration(out, ev);
	if (narrow && ev->call != CALL_exit)
		out_new_peer(out, ev);
	else
		out_ends(out, ev, &ev->sock);
	if (ev->figures.age_ns)
		out_age(out, ev->figures.age_ns);
	if (line->width)
		line_wrap(line, note_column(line) + 6);
}

/* Its parts are kept apart from it: a hook's stack is small, and each is left before the next. */
void render_text(struct out *out, const struct event *ev, const struct text_style *style)
{
	struct line line = line_begin(out, style);
	char *begin = out->at;

	out_head(&line, ev);
	out_call(&line, ev);
	out_outcome(&line, ev);
	if (ev->has_sock)
		out_state_column(&line, &ev->sock);
	if (ev->has_closed)
		out_closed(&line, ev);
	out_notes(&line, ev);
	if (ev->stack)
		out_frames(&line, ev);
	out_char(out, '\n');
	if (!style->utf8)
		out_as_ascii(out, begin);
}
