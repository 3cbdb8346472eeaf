/* SPDX-License-Identifier: MIT */
/*
 * journal.c - an event as an entry of systemd's journal, in its native protocol: a datagram of
 * fields, NAME=value and a newline each. They are the contract's keys, in its order; the text for
 * people is MESSAGE, which may have lines of its own and so has its length before it.
 */
#include <errno.h>
#include <string.h>

#include "facts/endpoint.h"
#include "facts/event_shape.h"
#include "facts/names.h"
#include "log/args.h"
#include "log/render.h"

static void field_name(struct out *out, const char *field, const char *name)
{
	out_str(out, field);
	out_str(out, name);
	out_char(out, '\n');
}

static void field_i64(struct out *out, const char *field, int64_t number)
{
	out_str(out, field);
	out_i64(out, number);
	out_char(out, '\n');
}

static void field_u64(struct out *out, const char *field, uint64_t number)
{
	out_str(out, field);
	out_u64(out, number);
	out_char(out, '\n');
}

static void field_state(struct out *out, const char *field, uint8_t state)
{
	if (state != STATE_UNKNOWN)
		field_name(out, field, state_name((enum tcp_state_id)state));
}

static void field_endpoint(struct out *out, const char *field, const struct endpoint *end)
{
	if (!end->family)
		return;
	out_str(out, field);
	out_endpoint(out, end);
	out_char(out, '\n');
}

static void field_prog(struct out *out, const char *field, const struct event *ev)
{
	out_str(out, field);
	out_plain(out, ev->prog, strnlen(ev->prog, sizeof(ev->prog)));
	out_char(out, '\n');
}

/* As syslog(3) numbers them. What a program that waits for nothing is told is no failure. */
static int priority(const struct event *ev)
{
	enum { WARNING = 4, NOTICE, INFO };

	switch (ev->error) {
	case 0:
	case EAGAIN:
	case EINPROGRESS:
	case EALREADY:
	case EINTR:
		return ev->notes ? NOTICE : INFO;
	}
	return WARNING;
}

static void call_fields(struct out *out, const struct event *ev)
{
	field_i64(out, "PRIORITY=", priority(ev));
	field_prog(out, "SYSLOG_IDENTIFIER=", ev);
	out_str(out, "TCPSHIM_V=1\nTCPSHIM_TIME=");
	out_time(out, ev->time_ns);
	out_str(out, "Z\n");
	field_i64(out, "TCPSHIM_PID=", ev->pid);
	field_i64(out, "TCPSHIM_TID=", ev->tid);
	field_prog(out, "TCPSHIM_PROG=", ev);
	field_u64(out, "TCPSHIM_SEQ=", ev->seq);
	field_name(out, "TCPSHIM_CALL=", call_name((enum call_id)ev->call));
	if (ev->by_shim)
		field_name(out, "TCPSHIM_BY=", "shim");
	if (ev->has_fd)
		field_i64(out, "TCPSHIM_FD=", ev->fd);
	if (ev->has_ret)
		field_i64(out, "TCPSHIM_RET=", ev->ret);
	if (ev->error) {
		out_str(out, "TCPSHIM_ERROR=");
		out_constant(out, 0, error_name(ev->error), ev->error);
		out_char(out, '\n');
	}
	if (ev->has_repeated)
		field_u64(out, "TCPSHIM_REPEATED=", ev->more.repeated.times);
}

static void sock_fields(struct out *out, const struct sock_view *sock)
{
	if (sock->cookie)
		field_u64(out, "TCPSHIM_SOCK=", sock->cookie);
	if (sock->netns)
		field_u64(out, "TCPSHIM_NETNS=", sock->netns);
	field_endpoint(out, "TCPSHIM_LOCAL=", &sock->local);
	field_endpoint(out, "TCPSHIM_PEER=", &sock->peer);
	field_state(out, "TCPSHIM_WAS=", sock->was);
	for (unsigned int i = 0; i < sock->n_via; i++)
		field_state(out, "TCPSHIM_VIA=", sock->via[i]);
	field_state(out, "TCPSHIM_STATE=", sock->state);
	if (sock->has_timer)
		field_u64(out, "TCPSHIM_TIMER_MS=", sock->timer_ms);
}

/* What has several values is told several times. */
static void rest_fields(struct out *out, const struct event *ev)
{
	if (ev->figures.age_ns)
		field_u64(out, "TCPSHIM_AGE_MS=", ev->figures.age_ns / 1000000);
	if (ev->call != CALL_exit && ev->call != CALL_wait)
		field_u64(out, "TCPSHIM_DUR_NS=", ev->dur_ns);
	for (uint64_t left = ev->notes; left; left &= left - 1)
		field_name(out, "TCPSHIM_NOTE=", note_code((enum note_id)__builtin_ctzll(left)));
}

enum { JOURNAL_LENGTH = 8 };

/* The length in 64 bits, the least byte first; of the text without its last newline. */
static void put_length(char *at, uint64_t length)
{
	for (int i = 0; i < JOURNAL_LENGTH; i++)
		at[i] = (char)(length >> 8 * i);
}

void render_journal(struct out *out, const struct event *ev)
{
	static const struct text_style style = {.utf8 = true};
	static const char none[JOURNAL_LENGTH];
	char *length;

	call_fields(out, ev);
	sock_fields(out, &ev->sock);
	rest_fields(out, ev);
	out_str(out, "MESSAGE\n");
	length = out->at;
	out_mem(out, none, sizeof(none));
	render_text(out, ev, &style);
	if (!out->truncated)
		put_length(length, (uint64_t)(out->at - length) - sizeof(none) - 1);
}
