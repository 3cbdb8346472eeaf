/*
 * text.c - an event as a line for people, in the shape of strace, the states in a
 * column of their own; notes on lines below.
 */
#include <string.h>

#include "facts/callsite.h"
#include "facts/endpoint.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "facts/names.h"
#include "log/args.h"
#include "log/note_text.h"
#include "log/render.h"

enum { CALL_COLUMN = 29, STATE_COLUMN = 84 };

enum color { PLAIN, CALL_COLOR, ERROR_COLOR, STATE_COLOR, NOTE_COLOR };

/* Where the line stands on the screen: colours take bytes but no room. */
struct line {
	struct out *out;
	size_t invisible;
	bool colored;
};

static void paint(struct line *line, enum color color)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m",	    [CALL_COLOR] = "\033[1m",  [ERROR_COLOR] = "\033[31m",
		[STATE_COLOR] = "\033[36m", [NOTE_COLOR] = "\033[33m",
	};

	if (!line->colored)
		return;
	out_str(line->out, codes[color]);
	line->invisible += strlen(codes[color]);
}

/* "server[4242]", or "server[4242/4250]" in another thread than the first. */
static void out_caller(struct out *out, const struct event *ev)
{
	out_plain(out, ev->prog, strnlen(ev->prog, sizeof(ev->prog)));
	out_char(out, '[');
	out_i64(out, ev->pid);
	if (ev->tid != ev->pid) {
		out_char(out, '/');
		out_i64(out, ev->tid);
	}
	out_char(out, ']');
}

static void separate(struct out *out)
{
	out_str(out, ", ");
}

static void out_sockopt_args(struct out *out, const struct event *ev)
{
	const int level = ev->args.sockopt.level, option = ev->args.sockopt.option;

	separate(out);
	out_constant(out, 0, constant_name(NAMES_level, level), level);
	separate(out);
	out_constant(out, 0, option_name(level, option), option);
	separate(out);
	if (ev->more.value.readable)
		out_option_value(out, 0, ev);
	else
		out_char(out, '?');
}

static void out_socket_args(struct out *out, const struct event *ev)
{
	const int domain = ev->args.socket.domain, protocol = ev->args.socket.protocol;

	out_constant(out, 0, constant_name(NAMES_domain, domain), domain);
	separate(out);
	out_socket_type(out, 0, ev->args.socket.type);
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

static void out_text_args(struct out *out, const struct event *ev)
{
	const int how = ev->args.how;

	if (ev->has_fd)
		out_i64(out, ev->fd);
	if (ev->call == CALL_bind)
		out_address_arg(out, &ev->sock.local);
	else if (ev->call == CALL_connect)
		out_address_arg(out, &ev->sock.peer);
	switch (call_args((enum call_id)ev->call)) {
	case PART_SOCKET:
		out_socket_args(out, ev);
		break;
	case PART_SOCKOPT:
		out_sockopt_args(out, ev);
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

static void out_result(struct line *line, const struct event *ev)
{
	if (!ev->has_ret)
		return;
	out_str(line->out, " = ");
	out_i64(line->out, ev->ret);
	if (!ev->error)
		return;
	out_char(line->out, ' ');
	paint(line, ERROR_COLOR);
	out_constant(line->out, 0, error_name(ev->error), ev->error);
	paint(line, PLAIN);
}

/* " <127.0.0.1:9999 127.0.0.1:50178>", where the arguments do not show it already. */
static void out_ends(struct out *out, const struct event *ev, const struct sock_view *sock)
{
	const bool in_args = ev->call == CALL_bind || (ev->call == CALL_connect && ev->error);

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

/* "ESTABLISHED -> CLOSE_WAIT -> LAST_ACK -> CLOSED"; what was not seen from its start: "(SYN_RCVD)
 * -> …" */
static void out_states(struct out *out, const struct sock_view *sock)
{
	const char *arrow = "";

	if (sock->was != STATE_UNKNOWN && (sock->was != sock->state || sock->n_via)) {
		out_str(out, state_name((enum tcp_state_id)sock->was));
		arrow = " -> ";
	}
	for (unsigned int i = 0; i < sock->n_via; i++) {
		const bool unseen_start = i == 0 && sock->was == STATE_UNKNOWN;

		out_str(out, arrow);
		out_str(out, unseen_start ? "(" : "");
		out_str(out, state_name((enum tcp_state_id)sock->via[i]));
		out_str(out, unseen_start ? ")" : "");
		arrow = " -> ";
	}
	out_str(out, arrow);
	out_str(out,
		sock->state == STATE_UNKNOWN ? "?" : state_name((enum tcp_state_id)sock->state));
	if (sock->has_timer) {
		out_str(out, " (");
		out_u64(out, sock->timer_ms / 1000);
		out_char(out, '.');
		out_u64(out, sock->timer_ms / 100 % 10);
		out_str(out, " s)");
	}
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

static void out_note_line(struct line *line, const char *head)
{
	out_char(line->out, '\n');
	for (int i = 0; i < CALL_COLUMN; i++)
		out_char(line->out, ' ');
	paint(line, NOTE_COLOR);
	out_str(line->out, head);
}

static void out_notes(struct line *line, const struct event *ev)
{
	for (uint64_t left = ev->notes; left; left &= left - 1) {
		const int note = __builtin_ctzll(left);

		out_note_line(line, "note: ");
		out_note(line->out, (enum note_id)note, ev);
		paint(line, PLAIN);
	}
}

/* "at recv_all+0x2a (server 0x13a2)": as many frames as there is room for, nearest first. */
static void out_frames(struct line *line, const struct event *ev)
{
	uint64_t number;
	struct out *out = line->out;

	for (unsigned int i = 0; callsite_frame(ev->stack, i, &number); i++) {
		const struct frame *frame = frames_at(number);
		const struct out before = *out;

		if (!frame)
			continue;
		out_note_line(line, "at ");
		out_frame(out, frame);
		paint(line, PLAIN);
		if (out->truncated || out->at == out->end) {
			*out = before;
			break;
		}
	}
}

void render_text(struct out *out, const struct event *ev, bool colored)
{
	struct line line = {.out = out, .colored = colored};

	out_time_of_day(out, ev->time_ns);
	out_char(out, ' ');
	out_caller(out, ev);
	out_char(out, ' ');
	paint(&line, CALL_COLOR);
	out_str(out, call_name((enum call_id)ev->call));
	paint(&line, PLAIN);
	if (ev->has_totals) {
		out_totals(out, ev);
	} else {
		out_char(out, '(');
		out_text_args(out, ev);
		out_char(out, ')');
	}
	if (ev->call != CALL_exit)
		out_result(&line, ev);
	if (ev->by_shim)
		out_str(out, " (by libreuse)");
	out_ends(out, ev, &ev->sock);
	if (ev->figures.age_ns)
		out_age(out, ev->figures.age_ns);
	if (ev->has_sock) {
		out_column(out, STATE_COLUMN + line.invisible);
		paint(&line, STATE_COLOR);
		out_states(out, &ev->sock);
		paint(&line, PLAIN);
	}
	if (ev->has_closed) {
		out_note_line(&line, "closed ");
		out_i64(out, ev->more.closed.fd);
		out_ends(out, ev, &ev->more.closed.sock);
		out_str(out, ": ");
		out_states(out, &ev->more.closed.sock);
		paint(&line, PLAIN);
	}
	out_notes(&line, ev);
	if (ev->stack)
		out_frames(&line, ev);
	out_char(out, '\n');
}
