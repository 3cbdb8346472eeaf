/* SPDX-License-Identifier: MIT */
/*
 * json.c - an event as one line of JSON: the contract's keys, in its order. A key
 * that has nothing to say is left out.
 */
#include <stdatomic.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/event_shape.h"
#include "facts/frames.h"
#include "facts/names.h"
#include "log/args.h"
#include "log/json_key.h"
#include "log/note_keys.h"
#include "log/note_text.h"
#include "log/render.h"

static void out_who(struct out *out, const struct event *ev)
{
	key_i64(out, KEY("pid"), ev->pid);
	key_i64(out, KEY("tid"), ev->tid);
	out_str(out, KEY("prog") "\"");
	out_json(out, ev->prog, strnlen(ev->prog, sizeof(ev->prog)));
	out_char(out, QUOTE);
}

/*
 * Who makes a thread's events is the same each time, so the text is kept: a tenth of
 * an event's instructions. A signal handler that comes in between keeps the same text.
 */
static void key_who(struct out *out, const struct event *ev)
{
	static __thread struct {
		int32_t pid, tid;
		char prog[sizeof(ev->prog)];
		uint8_t len; /* 0: no text */
		char text[79];
	} kept;

	if (kept.len && kept.tid == ev->tid && kept.pid == ev->pid &&
	    memcmp(kept.prog, ev->prog, sizeof(kept.prog)) == 0) {
		out_mem(out, kept.text, kept.len);
		return;
	}

	const char *start = out->at;

	out_who(out, ev);

	const size_t len = (size_t)(out->at - start);

	if (out->truncated || len > sizeof(kept.text))
		return;
	kept.len = 0;
	atomic_signal_fence(memory_order_seq_cst);
	kept.pid = ev->pid;
	kept.tid = ev->tid;
	memcpy(kept.prog, ev->prog, sizeof(kept.prog));
	memcpy(kept.text, start, len);
	atomic_signal_fence(memory_order_seq_cst);
	kept.len = (uint8_t)len;
}

static void sockopt_args(struct out *out, const struct event *ev)
{
	const int level = ev->args.sockopt.level, option = ev->args.sockopt.option;

	key_constant(out, KEY("level"), constant_name(NAMES_level, level), level);
	key_constant(out, KEY("option"), option_name(level, option), option);
	if (ev->more.value.readable) {
		out_str(out, KEY("value"));
		out_option_value(out, QUOTE, ev);
	}
}

static void socket_args(struct out *out, const struct event *ev)
{
	const int domain = ev->args.socket.domain, protocol = ev->args.socket.protocol;

	key_constant(out, KEY("domain"), constant_name(NAMES_domain, domain), domain);
	out_str(out, KEY("type"));
	out_socket_type(out, QUOTE, ev->args.socket.type);
	key_constant(out, KEY("protocol"), constant_name(NAMES_protocol, protocol), protocol);
}

static void fcntl_args(struct out *out, const struct event *ev)
{
	const int command = ev->args.fcntl.command;

	key_constant(out, KEY("command"), constant_name(NAMES_fcntl, command), command);
	key_i64(out, KEY("newfd"), ev->args.fcntl.newfd);
}

static void key_args(struct out *out, const struct event *ev)
{
	const int how = ev->args.how;

	if (!ev->has_args)
		return;
	out_str(out, KEY("args"));

	char *brace = out->at;

	switch (call_args((enum call_id)ev->call)) {
	case PART_SOCKET:
		socket_args(out, ev);
		break;
	case PART_SOCKOPT:
		sockopt_args(out, ev);
		break;
	case PART_BACKLOG:
		key_i64(out, KEY("backlog"), ev->args.backlog);
		break;
	case PART_HOW:
		key_constant(out, KEY("how"), constant_name(NAMES_how, how), how);
		break;
	case PART_NEWFD:
		key_i64(out, KEY("newfd"), ev->args.newfd);
		break;
	case PART_FCNTL:
		fcntl_args(out, ev);
		break;
	default:
		break;
	}
	if (brace < out->end)
		*brace = '{'; /* in the place of the first comma */
	out_char(out, '}');
}

static void key_via(struct out *out, const struct sock_view *sock)
{
	if (!sock->n_via)
		return;
	out_str(out, KEY("via"));
	for (unsigned int i = 0; i < sock->n_via; i++) {
		out_char(out, i ? ',' : '[');
		out_constant(out, QUOTE, state_name((enum tcp_state_id)sock->via[i]), 0);
	}
	out_char(out, ']');
}

/* sock to timer_ms; a closed socket of dup2 is shown without the way it took. */
static void sock_keys(struct out *out, const struct sock_view *sock, bool with_via)
{
	if (sock->cookie)
		key_u64(out, KEY("sock"), sock->cookie);
	if (sock->netns && with_via)
		key_u64(out, KEY("netns"), sock->netns);
	key_endpoint(out, KEY("local"), &sock->local);
	key_endpoint(out, KEY("peer"), &sock->peer);
	key_state(out, KEY("was"), sock->was);
	if (with_via)
		key_via(out, sock);
	key_state(out, KEY("state"), sock->state);
	if (sock->has_timer)
		key_u64(out, KEY("timer_ms"), sock->timer_ms);
}

static void key_closed(struct out *out, const struct event *ev)
{
	if (!ev->has_closed)
		return;
	out_str(out, ",\"closed\":{\"fd\":");
	out_i64(out, ev->more.closed.fd);
	sock_keys(out, &ev->more.closed.sock, false);
	out_char(out, '}');
}

static void key_repeated(struct out *out, const struct event *ev)
{
	if (!ev->has_repeated)
		return;
	out_str(out, ",\"repeated\":{\"times\":");
	out_u64(out, ev->more.repeated.times);
	key_u64(out, KEY("over_ms"), event_repeated_ns(ev) / 1000000);
	out_char(out, '}');
}

/* Only the states that there are. */
static void key_totals(struct out *out, const struct event *ev)
{
	const char *before = "{";

	if (!ev->has_totals)
		return;
	out_str(out, KEY("totals"));
	for (unsigned int state = STATE_CLOSED; state < STATE_COUNT; state++) {
		if (!ev->more.totals.of_state[state])
			continue;
		out_str(out, before);
		out_constant(out, QUOTE, state_name((enum tcp_state_id)state), 0);
		out_char(out, ':');
		out_u64(out, ev->more.totals.of_state[state]);
		before = ",";
	}
	out_str(out, *before == '{' ? "{}" : "}");
	if (ev->more.totals.unlisted)
		key_u64(out, KEY("unlisted"), ev->more.totals.unlisted);
}

static void key_notes(struct out *out, const struct event *ev)
{
	const char *before = "[{\"code\":\"";

	if (!ev->notes)
		return;
	out_str(out, KEY("notes"));
	for (uint64_t left = ev->notes; left; left &= left - 1) {
		const int note = __builtin_ctzll(left);

		out_str(out, before);
		out_str(out, note_code((enum note_id)note));
		out_str(out, "\",\"text\":\"");
		out_note(out, (enum note_id)note, ev);
		out_char(out, QUOTE);
		out_note_keys(out, (enum note_id)note, ev);
		out_char(out, '}');
		before = ",{\"code\":\"";
	}
	out_char(out, ']');
}

/* As many frames as there is room for, nearest first. */
static void key_stack(struct out *out, const struct event *ev)
{
	static const char end[] = "]}\n";
	uint64_t number;
	const struct out without = *out;
	unsigned int shown = 0;

	out_str(out, KEY("stack"));
	for (unsigned int i = 0; callsite_frame(ev->stack, i, &number); i++) {
		const struct frame *frame = frames_at(number);
		const struct out before = *out;

		if (!frame)
			continue;
		out_char(out, shown ? ',' : '[');
		out_frame_object(out, frame);
		if (out->truncated || (size_t)(out->end - out->at) < sizeof(end)) {
			*out = before;
			break;
		}
		shown++;
	}
	if (shown)
		out_char(out, ']');
	else
		*out = without;
}

void render_json(struct out *out, const struct event *ev)
{
	out_str(out, "{\"v\":1" KEY("time") "\"");
	out_time(out, ev->time_ns);
	out_str(out, "Z\"");
	key_who(out, ev);
	key_u64(out, KEY("seq"), ev->seq);
	key_name(out, KEY("call"), call_name((enum call_id)ev->call));
	if (ev->by_shim)
		key_name(out, KEY("by"), "shim");
	if (ev->has_fd)
		key_i64(out, KEY("fd"), ev->fd);
	if (ev->has_ret)
		key_i64(out, KEY("ret"), ev->ret);
	if (ev->error)
		key_constant(out, KEY("error"), error_name(ev->error), ev->error);
	key_repeated(out, ev);
	key_args(out, ev);
	sock_keys(out, &ev->sock, true);
	key_closed(out, ev);
	if (ev->figures.age_ns)
		key_u64(out, KEY("age_ms"), ev->figures.age_ns / 1000000);
	key_totals(out, ev);
	if (ev->call != CALL_exit && ev->call != CALL_wait)
		key_u64(out, KEY("dur_ns"), ev->dur_ns);
	key_notes(out, ev);
	if (ev->stack)
		key_stack(out, ev);
	out_str(out, "}\n");
}
