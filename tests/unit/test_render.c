/* SPDX-License-Identifier: MIT */
/*
 * test_render.c - log/text, log/json, log/note_text, log/clock_time: an event as a
 * line; and that log/log.c has room for the longest.
 */
#include "log/render.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "facts/event_shape.h"
#include "facts/names.h"
#include "facts/shim.h"
#include "log/log.h"
#include "log/note_text.h"
#include "log/sink.h"
#include "sys/process.h"
#include "unit.h"

enum { ROOM = 8192, MOST_JSON = 4096, CALL_COLUMN = 29, STATE_COLUMN = 84 };

static const char *rendered_text(const struct event *ev, bool colored)
{
	static char line[ROOM];
	struct out out = out_into(line, sizeof(line) - 1);

	render_text(&out, ev, &(struct text_style){.colored = colored});
	assert_false(out.truncated);
	*out.at = 0;
	return line;
}

static const char *rendered_json(const struct event *ev)
{
	static char line[ROOM];
	struct out out = out_into(line, sizeof(line) - 1);

	render_json(&out, ev);
	assert_false(out.truncated);
	*out.at = 0;
	return line;
}

static struct endpoint end_of(const char *address, uint16_t port)
{
	struct endpoint end = {.family = AF_INET, .port = port};

	if (inet_pton(AF_INET, address, end.addr) == 1)
		return end;
	end.family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, address, end.addr), 1);
	return end;
}

static uint64_t nanoseconds(const char *date, uint32_t microsecond)
{
	struct tm tm = {0};

	assert_non_null(strptime(date, "%Y-%m-%d %H:%M:%S", &tm));
	return (uint64_t)timegm(&tm) * 1000000000u + microsecond * UINT64_C(1000) + 999;
}

/* A call that worked, on descriptor 3 of a socket of which nothing else is known. */
static struct event event_of(enum call_id call)
{
	return (struct event){
		.time_ns = nanoseconds("2026-03-04 17:02:11", 42390),
		.dur_ns = 1500,
		.seq = 7,
		.pid = 4242,
		.tid = 4242,
		.fd = 3,
		.has_fd = true,
		.has_ret = true,
		.has_sock = true,
		.call = (uint8_t)call,
		.prog = "server",
		.sock = {.cookie = 4711},
	};
}

static void in_state(struct event *ev, enum tcp_state_id was, enum tcp_state_id state)
{
	ev->sock.was = (uint8_t)was;
	ev->sock.state = (uint8_t)state;
}

static void failed(struct event *ev, int error)
{
	ev->ret = -1;
	ev->error = error;
}

static void connected(struct event *ev)
{
	ev->sock.local = end_of("127.0.0.1", 9999);
	ev->sock.peer = end_of("127.0.0.1", 50178);
}

static void via(struct sock_view *sock, enum tcp_state_id state)
{
	sock->via[sock->n_via++] = (uint8_t)state;
}

/* One event of each kind, and both its lines. */

static struct event a_socket(void)
{
	struct event ev = event_of(CALL_socket);

	ev.has_fd = false;
	ev.has_args = true;
	ev.ret = 3;
	ev.args.socket.domain = AF_INET;
	ev.args.socket.type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	in_state(&ev, STATE_UNKNOWN, STATE_CLOSED);
	return ev;
}

static struct event a_failed_socket(void)
{
	struct event ev = event_of(CALL_socket);

	ev.has_fd = ev.has_sock = false;
	ev.has_args = true;
	ev.sock.cookie = 0;
	ev.args.socket.domain = 77;
	ev.args.socket.type = SOCK_STREAM | 0x100;
	ev.args.socket.protocol = IPPROTO_TCP;
	failed(&ev, EAFNOSUPPORT);
	return ev;
}

static struct event a_bind(void)
{
	struct event ev = event_of(CALL_bind);

	ev.sock.local = end_of("0.0.0.0", 9999);
	ev.prepared = REUSED_ADDR;
	ev.notes = NOTE_BIT(NOTE_REUSE_ENABLED);
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event a_failed_bind(void)
{
	struct event ev = event_of(CALL_bind);

	ev.time_ns = nanoseconds("2026-03-04 17:02:21", 100020);
	ev.pid = ev.tid = 4250;
	ev.sock.local = end_of("0.0.0.0", 9999);
	failed(&ev, EADDRINUSE);
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event a_bind_to_nothing(void)
{
	struct event ev = event_of(CALL_bind);

	failed(&ev, EFAULT);
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event a_listen(void)
{
	struct event ev = event_of(CALL_listen);

	ev.time_ns = nanoseconds("2026-03-04 17:02:11", 42401);
	ev.has_args = true;
	ev.args.backlog = 64;
	in_state(&ev, STATE_CLOSED, STATE_LISTEN);
	return ev;
}

static struct event a_connect(void)
{
	struct event ev = event_of(CALL_connect);

	ev.sock.local = end_of("::1", 40000);
	ev.sock.peer = end_of("::1", 80);
	via(&ev.sock, STATE_SYN_SENT);
	in_state(&ev, STATE_CLOSED, STATE_ESTABLISHED);
	return ev;
}

static struct event a_failed_connect(void)
{
	struct event ev = event_of(CALL_connect);

	ev.sock.peer = end_of("127.0.0.1", 80);
	failed(&ev, ECONNREFUSED);
	via(&ev.sock, STATE_SYN_SENT);
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event an_accept(void)
{
	struct event ev = event_of(CALL_accept);

	ev.time_ns = nanoseconds("2026-03-04 17:02:13", 100127);
	ev.ret = 4;
	connected(&ev);
	via(&ev.sock, STATE_SYN_RCVD);
	in_state(&ev, STATE_UNKNOWN, STATE_ESTABLISHED);
	return ev;
}

static struct event an_accept4(void)
{
	struct event ev = event_of(CALL_accept4);

	ev.tid = 4250;
	ev.sock.local = end_of("0.0.0.0", 9999);
	failed(&ev, EAGAIN);
	in_state(&ev, STATE_LISTEN, STATE_LISTEN);
	return ev;
}

static struct event a_setsockopt(void)
{
	struct event ev = event_of(CALL_setsockopt);
	const int32_t one = 1;

	ev.by_shim = ev.has_args = true;
	ev.args.sockopt.level = SOL_SOCKET;
	ev.args.sockopt.option = SO_REUSEADDR;
	ev.more.value.readable = true;
	ev.more.value.len = sizeof(one);
	memcpy(ev.more.value.bytes, &one, sizeof(one));
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event a_hex_setsockopt(void)
{
	struct event ev = a_setsockopt();

	ev.by_shim = false;
	ev.args.sockopt.option = SO_LINGER;
	ev.more.value.len = 8;
	ev.more.value.bytes[4] = 0xfe;
	return ev;
}

static struct event an_unreadable_setsockopt(void)
{
	struct event ev = a_setsockopt();

	ev.by_shim = false;
	ev.args.sockopt.level = 999;
	ev.args.sockopt.option = 998;
	ev.more.value.readable = false;
	failed(&ev, EFAULT);
	return ev;
}

static struct event a_getsockopt(void)
{
	struct event ev = a_setsockopt();
	const int32_t error = ECONNREFUSED;

	ev.call = CALL_getsockopt;
	ev.by_shim = false;
	ev.args.sockopt.option = SO_ERROR;
	memcpy(ev.more.value.bytes, &error, sizeof(error));
	in_state(&ev, STATE_SYN_SENT, STATE_CLOSED);
	return ev;
}

static struct event a_clean_getsockopt(void)
{
	struct event ev = a_getsockopt();

	memset(ev.more.value.bytes, 0, 4);
	in_state(&ev, STATE_SYN_SENT, STATE_ESTABLISHED);
	return ev;
}

static struct event a_shutdown(void)
{
	struct event ev = event_of(CALL_shutdown);

	ev.has_args = true;
	ev.args.how = SHUT_WR;
	connected(&ev);
	via(&ev.sock, STATE_FIN_WAIT_1);
	in_state(&ev, STATE_ESTABLISHED, STATE_FIN_WAIT_2);
	return ev;
}

static struct event a_close(void)
{
	struct event ev = event_of(CALL_close);

	ev.time_ns = nanoseconds("2026-03-04 17:02:20", 900453);
	ev.fd = 4;
	connected(&ev);
	via(&ev.sock, STATE_CLOSE_WAIT);
	via(&ev.sock, STATE_LAST_ACK);
	in_state(&ev, STATE_ESTABLISHED, STATE_CLOSED);
	return ev;
}

static struct event a_close_with_timer(void)
{
	struct event ev = a_close();

	ev.sock.n_via = 1;
	ev.sock.via[0] = STATE_FIN_WAIT_1;
	ev.sock.has_timer = true;
	ev.sock.timer_ms = 59960;
	ev.sock.state = STATE_TIME_WAIT;
	return ev;
}

static struct event an_unprovable_close(void)
{
	struct event ev = a_close();

	ev.sock.n_via = 0;
	ev.sock.state = STATE_UNKNOWN;
	return ev;
}

static struct event a_dup(void)
{
	struct event ev = event_of(CALL_dup);

	ev.ret = 5;
	connected(&ev);
	in_state(&ev, STATE_ESTABLISHED, STATE_ESTABLISHED);
	return ev;
}

static struct event a_dup2(void)
{
	struct event ev = event_of(CALL_dup2);

	ev.has_args = ev.has_closed = true;
	ev.ret = ev.args.newfd = 9;
	connected(&ev);
	in_state(&ev, STATE_UNKNOWN, STATE_ESTABLISHED);
	ev.more.closed.fd = 9;
	ev.more.closed.sock =
		(struct sock_view){.cookie = 99, .was = STATE_LISTEN, .state = STATE_CLOSED};
	ev.more.closed.sock.local = end_of("::", 80);
	return ev;
}

static struct event a_dup3_of_something_else(void)
{
	struct event ev = a_dup2();

	ev.call = CALL_dup3;
	ev.has_sock = false;
	memset(&ev.sock, 0, sizeof(ev.sock));
	ev.more.closed.sock.state = STATE_TIME_WAIT;
	ev.more.closed.sock.has_timer = true;
	ev.more.closed.sock.timer_ms = 1050;
	return ev;
}

static struct event an_fcntl(void)
{
	struct event ev = event_of(CALL_fcntl);

	ev.has_args = true;
	ev.ret = 10;
	ev.args.fcntl.command = F_DUPFD_CLOEXEC;
	ev.args.fcntl.newfd = 10;
	in_state(&ev, STATE_CLOSED, STATE_CLOSED);
	return ev;
}

static struct event an_fclose(void)
{
	struct event ev = event_of(CALL_fclose);

	in_state(&ev, STATE_LISTEN, STATE_CLOSED);
	ev.notes = NOTE_BIT(NOTE_LOST_EVENTS);
	ev.figures.lost = 2;
	return ev;
}

static struct event a_close_range(void)
{
	struct event ev = event_of(CALL_close_range);

	in_state(&ev, STATE_UNKNOWN, STATE_CLOSED);
	return ev;
}

static struct event a_closefrom(void)
{
	struct event ev = a_close_range();

	ev.call = CALL_closefrom;
	ev.has_ret = false; /* it returns nothing */
	return ev;
}

#define HEAD "17:02:11.042390 server[4242] "
#define NOTE_LINE "                             "

static const struct {
	struct event (*make)(void);
	const char *text;
	const char *json; /* from "seq" on */
} golden[] = {
	{a_socket,
	 HEAD "socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, IPPROTO_IP) = 3 CLOSED\n",
	 "\"call\":\"socket\",\"ret\":3,\"args\":{\"domain\":\"AF_INET\",\"type\":\"SOCK_STREAM|"
	 "SOCK_NONBLOCK|SOCK_CLOEXEC\",\"protocol\":\"IPPROTO_IP\"},\"sock\":4711,"
	 "\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{a_failed_socket, HEAD "socket(77, 257, IPPROTO_TCP) = -1 EAFNOSUPPORT\n",
	 "\"call\":\"socket\",\"ret\":-1,\"error\":\"EAFNOSUPPORT\",\"args\":{\"domain\":77,"
	 "\"type\":257,\"protocol\":\"IPPROTO_TCP\"},\"dur_ns\":1500}\n"},
	/* These lines of text are the contract's own, in its section 6. */
	{a_bind,
	 "17:02:11.042390 server[4242] bind(3, 0.0.0.0:9999) = 0                              "
	 "CLOSED\n"
	 "                             note: SO_REUSEADDR enabled first (TCPSHIM_REUSE=auto)\n",
	 "\"call\":\"bind\",\"fd\":3,\"ret\":0,\"sock\":4711,\"local\":\"0.0.0.0:9999\","
	 "\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500,\"notes\":[{\"code\":"
	 "\"reuse-enabled\",\"text\":\"SO_REUSEADDR enabled first (TCPSHIM_REUSE=auto)\","
	 "\"options\":[\"SO_REUSEADDR\"],\"mode\":\"auto\"}]}\n"},
	{a_listen,
	 "17:02:11.042401 server[4242] listen(3, 64) = 0                                      "
	 "CLOSED -> LISTEN\n",
	 "\"call\":\"listen\",\"fd\":3,\"ret\":0,\"args\":{\"backlog\":64},\"sock\":4711,"
	 "\"was\":\"CLOSED\",\"state\":\"LISTEN\",\"dur_ns\":1500}\n"},
	{an_accept,
	 "17:02:13.100127 server[4242] accept(3) = 4 <127.0.0.1:9999 127.0.0.1:50178>         "
	 "(SYN_RCVD) -> ESTABLISHED\n",
	 "\"call\":\"accept\",\"fd\":3,\"ret\":4,\"sock\":4711,\"local\":\"127.0.0.1:9999\","
	 "\"peer\":\"127.0.0.1:50178\",\"via\":[\"SYN_RCVD\"],\"state\":\"ESTABLISHED\","
	 "\"dur_ns\":1500}\n"},
	{a_close,
	 "17:02:20.900453 server[4242] close(4) = 0 <127.0.0.1:9999 127.0.0.1:50178>          "
	 "ESTABLISHED -> CLOSE_WAIT -> LAST_ACK -> CLOSED\n",
	 "\"call\":\"close\",\"fd\":4,\"ret\":0,\"sock\":4711,\"local\":\"127.0.0.1:9999\","
	 "\"peer\":\"127.0.0.1:50178\",\"was\":\"ESTABLISHED\",\"via\":[\"CLOSE_WAIT\","
	 "\"LAST_ACK\"],\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{a_failed_bind,
	 "17:02:21.100020 server[4250] bind(3, 0.0.0.0:9999) = -1 EADDRINUSE                  "
	 "CLOSED\n",
	 "\"call\":\"bind\",\"fd\":3,\"ret\":-1,\"error\":\"EADDRINUSE\",\"sock\":4711,"
	 "\"local\":\"0.0.0.0:9999\",\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	/* And these are not. */
	{a_bind_to_nothing, HEAD "bind(3, ?) = -1 EFAULT                                 CLOSED\n",
	 "\"call\":\"bind\",\"fd\":3,\"ret\":-1,\"error\":\"EFAULT\",\"sock\":4711,"
	 "\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{a_connect,
	 HEAD "connect(3, [::1]:80) = 0 <[::1]:40000 [::1]:80>        "
	      "CLOSED -> SYN_SENT -> ESTABLISHED\n",
	 "\"call\":\"connect\",\"fd\":3,\"ret\":0,\"sock\":4711,\"local\":\"[::1]:40000\","
	 "\"peer\":\"[::1]:80\",\"was\":\"CLOSED\",\"via\":[\"SYN_SENT\"],"
	 "\"state\":\"ESTABLISHED\",\"dur_ns\":1500}\n"},
	{a_failed_connect,
	 HEAD "connect(3, 127.0.0.1:80) = -1 ECONNREFUSED             "
	      "CLOSED -> SYN_SENT -> CLOSED\n",
	 "\"call\":\"connect\",\"fd\":3,\"ret\":-1,\"error\":\"ECONNREFUSED\",\"sock\":4711,"
	 "\"peer\":\"127.0.0.1:80\",\"was\":\"CLOSED\",\"via\":[\"SYN_SENT\"],"
	 "\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{an_accept4,
	 "17:02:11.042390 server[4242/4250] accept4(3) = -1 EAGAIN <0.0.0.0:9999>             "
	 "LISTEN\n",
	 "\"call\":\"accept4\",\"fd\":3,\"ret\":-1,\"error\":\"EAGAIN\",\"sock\":4711,"
	 "\"local\":\"0.0.0.0:9999\",\"was\":\"LISTEN\",\"state\":\"LISTEN\",\"dur_ns\":1500}\n"},
	{a_setsockopt, HEAD "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 1) = 0 (by libreuse) CLOSED\n",
	 "\"call\":\"setsockopt\",\"by\":\"shim\",\"fd\":3,\"ret\":0,\"args\":{\"level\":"
	 "\"SOL_SOCKET\",\"option\":\"SO_REUSEADDR\",\"value\":1},\"sock\":4711,"
	 "\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{a_hex_setsockopt,
	 HEAD "setsockopt(3, SOL_SOCKET, SO_LINGER, 01000000fe000000) = 0 CLOSED\n",
	 "\"call\":\"setsockopt\",\"fd\":3,\"ret\":0,\"args\":{\"level\":\"SOL_SOCKET\","
	 "\"option\":\"SO_LINGER\",\"value\":\"01000000fe000000\"},\"sock\":4711,"
	 "\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{an_unreadable_setsockopt,
	 HEAD "setsockopt(3, 999, 998, ?) = -1 EFAULT                 CLOSED\n",
	 "\"call\":\"setsockopt\",\"fd\":3,\"ret\":-1,\"error\":\"EFAULT\",\"args\":{\"level\":"
	 "999,\"option\":998},\"sock\":4711,\"was\":\"CLOSED\",\"state\":\"CLOSED\","
	 "\"dur_ns\":1500}\n"},
	{a_getsockopt,
	 HEAD "getsockopt(3, SOL_SOCKET, SO_ERROR, ECONNREFUSED) = 0  SYN_SENT -> CLOSED\n",
	 "\"call\":\"getsockopt\",\"fd\":3,\"ret\":0,\"args\":{\"level\":\"SOL_SOCKET\","
	 "\"option\":\"SO_ERROR\",\"value\":\"ECONNREFUSED\"},\"sock\":4711,"
	 "\"was\":\"SYN_SENT\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{a_clean_getsockopt,
	 HEAD "getsockopt(3, SOL_SOCKET, SO_ERROR, 0) = 0             "
	      "SYN_SENT -> ESTABLISHED\n",
	 "\"call\":\"getsockopt\",\"fd\":3,\"ret\":0,\"args\":{\"level\":\"SOL_SOCKET\","
	 "\"option\":\"SO_ERROR\",\"value\":0},\"sock\":4711,\"was\":\"SYN_SENT\","
	 "\"state\":\"ESTABLISHED\",\"dur_ns\":1500}\n"},
	{a_shutdown,
	 HEAD "shutdown(3, SHUT_WR) = 0 <127.0.0.1:9999 127.0.0.1:50178> "
	      "ESTABLISHED -> FIN_WAIT_1 -> FIN_WAIT_2\n",
	 "\"call\":\"shutdown\",\"fd\":3,\"ret\":0,\"args\":{\"how\":\"SHUT_WR\"},\"sock\":4711,"
	 "\"local\":\"127.0.0.1:9999\",\"peer\":\"127.0.0.1:50178\",\"was\":\"ESTABLISHED\","
	 "\"via\":[\"FIN_WAIT_1\"],\"state\":\"FIN_WAIT_2\",\"dur_ns\":1500}\n"},
	{a_close_with_timer,
	 "17:02:20.900453 server[4242] close(4) = 0 <127.0.0.1:9999 127.0.0.1:50178>          "
	 "ESTABLISHED -> FIN_WAIT_1 -> TIME_WAIT (59.9 s)\n",
	 "\"call\":\"close\",\"fd\":4,\"ret\":0,\"sock\":4711,\"local\":\"127.0.0.1:9999\","
	 "\"peer\":\"127.0.0.1:50178\",\"was\":\"ESTABLISHED\",\"via\":[\"FIN_WAIT_1\"],"
	 "\"state\":\"TIME_WAIT\",\"timer_ms\":59960,\"dur_ns\":1500}\n"},
	{an_unprovable_close,
	 "17:02:20.900453 server[4242] close(4) = 0 <127.0.0.1:9999 127.0.0.1:50178>          "
	 "ESTABLISHED -> ?\n",
	 "\"call\":\"close\",\"fd\":4,\"ret\":0,\"sock\":4711,\"local\":\"127.0.0.1:9999\","
	 "\"peer\":\"127.0.0.1:50178\",\"was\":\"ESTABLISHED\",\"dur_ns\":1500}\n"},
	{a_dup, HEAD "dup(3) = 5 <127.0.0.1:9999 127.0.0.1:50178>            ESTABLISHED\n",
	 "\"call\":\"dup\",\"fd\":3,\"ret\":5,\"sock\":4711,\"local\":\"127.0.0.1:9999\","
	 "\"peer\":\"127.0.0.1:50178\",\"was\":\"ESTABLISHED\",\"state\":\"ESTABLISHED\","
	 "\"dur_ns\":1500}\n"},
	{a_dup2,
	 HEAD "dup2(3, 9) = 9 <127.0.0.1:9999 127.0.0.1:50178>        ESTABLISHED\n" NOTE_LINE
	      "closed 9 <[::]:80>: LISTEN -> CLOSED\n",
	 "\"call\":\"dup2\",\"fd\":3,\"ret\":9,\"args\":{\"newfd\":9},\"sock\":4711,"
	 "\"local\":\"127.0.0.1:9999\",\"peer\":\"127.0.0.1:50178\",\"state\":\"ESTABLISHED\","
	 "\"closed\":{\"fd\":9,\"sock\":99,\"local\":\"[::]:80\",\"was\":\"LISTEN\","
	 "\"state\":\"CLOSED\"},\"dur_ns\":1500}\n"},
	{a_dup3_of_something_else,
	 HEAD "dup3(3, 9) = 9\n" NOTE_LINE "closed 9 <[::]:80>: LISTEN -> TIME_WAIT (1.0 s)\n",
	 "\"call\":\"dup3\",\"fd\":3,\"ret\":9,\"args\":{\"newfd\":9},\"closed\":{\"fd\":9,"
	 "\"sock\":99,\"local\":\"[::]:80\",\"was\":\"LISTEN\",\"state\":\"TIME_WAIT\","
	 "\"timer_ms\":1050},\"dur_ns\":1500}\n"},
	{an_fcntl, HEAD "fcntl(3, F_DUPFD_CLOEXEC, 10) = 10                     CLOSED\n",
	 "\"call\":\"fcntl\",\"fd\":3,\"ret\":10,\"args\":{\"command\":\"F_DUPFD_CLOEXEC\","
	 "\"newfd\":10},\"sock\":4711,\"was\":\"CLOSED\",\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
	{an_fclose,
	 HEAD "fclose(3) = 0                                          LISTEN -> CLOSED\n" NOTE_LINE
	      "note: 2 events before this one could not be written\n",
	 "\"call\":\"fclose\",\"fd\":3,\"ret\":0,\"sock\":4711,\"was\":\"LISTEN\","
	 "\"state\":\"CLOSED\",\"dur_ns\":1500,\"notes\":[{\"code\":\"lost-events\",\"text\":"
	 "\"2 events before this one could not be written\",\"events\":2}]}\n"},
	{a_close_range, HEAD "close_range(3) = 0                                     CLOSED\n",
	 "\"call\":\"close_range\",\"fd\":3,\"ret\":0,\"sock\":4711,\"state\":\"CLOSED\","
	 "\"dur_ns\":1500}\n"},
	{a_closefrom, HEAD "closefrom(3)                                           CLOSED\n",
	 "\"call\":\"closefrom\",\"fd\":3,\"sock\":4711,\"state\":\"CLOSED\",\"dur_ns\":1500}\n"},
};

/* Each kind of event as text, letter by letter. */
static void golden_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(golden); i++) {
		const struct event ev = golden[i].make();

		assert_string_equal(rendered_text(&ev, false), golden[i].text);
	}
}

/* Each kind of event as JSON, letter by letter. */
static void golden_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(golden); i++) {
		const struct event ev = golden[i].make();
		char expected[ROOM];

		snprintf(expected, sizeof(expected),
			 "{\"v\":1,\"time\":\"2026-03-04T17:02:%s\",\"pid\":%d,\"tid\":%d,"
			 "\"prog\":\"server\",\"seq\":7,%s",
			 ev.time_ns == nanoseconds("2026-03-04 17:02:11", 42390)    ? "11.042390Z"
			 : ev.time_ns == nanoseconds("2026-03-04 17:02:11", 42401)  ? "11.042401Z"
			 : ev.time_ns == nanoseconds("2026-03-04 17:02:13", 100127) ? "13.100127Z"
			 : ev.time_ns == nanoseconds("2026-03-04 17:02:20", 900453) ? "20.900453Z"
										    : "21.100020Z",
			 ev.pid, ev.tid, golden[i].json);
		assert_string_equal(rendered_json(&ev), expected);
	}
}

/* Whoever's event was the last one: each says who made it, and of what program. */
static void who(void **state)
{
	static const struct {
		int pid, tid;
		const char *prog, *json;
	} some[] = {
		{0, 0, "", ""},
		{4242, 4242, "server", "server"},
		{4242, 4243, "server", "server"},
		{4243, 4243, "server", "server"},
		{4243, 4243, "serves", "serves"},
		{4243, 4243, "s\"r\\e\n", "s\\\"r\\\\e\\u000a"},
		/* More text than is kept. */
		{4243, 4243, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1",
		 "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001"
		 "\\u0001\\u0001\\u0001\\u0001\\u0001"},
	};

	(void)state;
	for (size_t i = 0; i < 3 * COUNT_OF(some) * COUNT_OF(some); i++) {
		/* Each after each, and after itself. */
		const size_t pick = i % 3 == 0 ? i / 3 % COUNT_OF(some) : i / 3 / COUNT_OF(some);
		struct event ev = event_of(CALL_listen);
		char expected[256];

		ev.pid = some[pick].pid;
		ev.tid = some[pick].tid;
		memset(ev.prog, 0, sizeof(ev.prog));
		memcpy(ev.prog, some[pick].prog, strlen(some[pick].prog));
		snprintf(expected, sizeof(expected),
			 ",\"pid\":%d,\"tid\":%d,\"prog\":\"%s\",\"seq\":", ev.pid, ev.tid,
			 some[pick].json);
		assert_non_null(strstr(rendered_json(&ev), expected));
	}
}

/* JSON, read: strings, numbers, objects and arrays as RFC 8259 has them; NULL where not. */
static const char *after_value(const char *at);

static const char *after_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (*at != '"') {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at++ != '\\')
			continue;
		if (*at == 'u') {
			if (strspn(at + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			at += 5;
		} else if (!*at || !strchr("\"\\/bfnrt", *at++)) {
			return NULL;
		}
	}
	return at + 1;
}

static const char *after_list(const char *at, char end, bool keys)
{
	if (*++at == end)
		return at + 1;
	for (;;) {
		if (keys) {
			at = after_string(at);
			if (!at || *at++ != ':')
				return NULL;
		}
		at = after_value(at);
		if (!at)
			return NULL;
		if (*at == end)
			return at + 1;
		if (*at++ != ',')
			return NULL;
	}
}

static const char *after_value(const char *at)
{
	size_t digits;

	switch (*at) {
	case '{':
		return after_list(at, '}', true);
	case '[':
		return after_list(at, ']', false);
	case '"':
		return after_string(at);
	case 't':
		return strncmp(at, "true", 4) == 0 ? at + 4 : NULL;
	}
	at += *at == '-';
	digits = strspn(at, "0123456789");
	return digits == 0 || (digits > 1 && *at == '0') ? NULL : at + digits;
}

static const char *const contract_keys[] = {
	"v",	    "time",   "pid",	"tid",	  "prog",  "seq",   "call",   "by",  "fd",
	"ret",	    "error",  "args",	"sock",	  "local", "peer",  "was",    "via", "state",
	"timer_ms", "age_ms", "closed", "dur_ns", "notes", "stack", "totals",
};

/* A line is one JSON object, its keys are the contract's, in its order, each once. */
static void assert_contract(const char *line)
{
	const char *at = line, *end = after_value(line);
	size_t key = 0;

	if (!end || strcmp(end, "\n") != 0)
		fail_msg("no JSON: %s", line);
	while (*at != '}') {
		const char *name = ++at, *after = after_string(at);
		const size_t len = (size_t)(after - name) - 2;

		while (key < COUNT_OF(contract_keys) &&
		       (strlen(contract_keys[key]) != len ||
			memcmp(contract_keys[key], name + 1, len) != 0))
			key++;
		if (key++ == COUNT_OF(contract_keys))
			fail_msg("%.*s stands in the wrong place: %s", (int)len, name + 1, line);
		at = after_value(after + 1);
	}
	assert_true(strncmp(line, "{\"v\":1,\"time\":\"", 15) == 0);
}

/* All events together: the contract's keys in its order. */
static void keys_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(golden); i++) {
		const struct event ev = golden[i].make();

		assert_contract(rendered_json(&ev));
	}
}

/* The line without its colours. */
static const char *uncolored(const char *line)
{
	static char plain[ROOM];
	char *at = plain;

	while (*line) {
		if (*line == '\033') {
			const size_t digits = strspn(line + 2, "0123456789;");

			assert_int_equal(line[1], '[');
			assert_int_equal(line[2 + digits], 'm');
			line += 3 + digits;
			continue;
		}
		*at++ = *line++;
	}
	*at = 0;
	return plain;
}

static void assert_colors(const struct event *ev)
{
	char plain[ROOM];
	const char *colored;

	snprintf(plain, sizeof(plain), "%s", rendered_text(ev, false));
	assert_null(strchr(plain, '\033'));
	colored = rendered_text(ev, true);
	assert_non_null(strchr(colored, '\033'));
	assert_string_equal(uncolored(colored), plain);

	/* No line goes on in the colour of the last. */
	for (const char *at = colored; *at;) {
		const char *end = strchr(at, '\n'), *last = NULL;

		for (const char *code = at; code < end; code++)
			if (*code == '\033')
				last = code;
		assert_non_null(last);
		assert_int_equal(strncmp(last, "\033[0m", 4), 0);
		at = end + 1;
	}
}

/* Colours are around the words, and take no width: all columns stay where they are. */
static void colors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(golden); i++) {
		const struct event ev = golden[i].make();

		assert_colors(&ev);
	}
}

/* States begin in their column; where the call is longer, one space after it. */
static void columns(void **state)
{
	(void)state;
	for (int port = 0; port < 2; port++)
		for (int fd = 1; fd > 0 && fd < 1000000000; fd *= 10) {
			struct event ev = a_bind();
			const char *line, *found;

			ev.fd = fd;
			snprintf(ev.prog, sizeof(ev.prog), "%s", port ? "a-long-program" : "s");
			ev.notes = 0;
			ev.sock.local = port ? end_of("2001:db8::1234:5678:9abc", 65535)
					     : end_of("1.2.3.4", 1);
			line = rendered_text(&ev, false);
			found = strstr(line, " CLOSED\n");
			assert_non_null(found);
			if (found - line + 1 != STATE_COLUMN) {
				assert_true(found - line + 1 > STATE_COLUMN);
				assert_int_not_equal(found[-1], ' ');
			}
		}
}

/* Notes are indented to where the call of a common program begins. */
static void note_lines(void **state)
{
	(void)state;
	for (int note = 0; note < NOTE_COUNT; note++) {
		struct event ev = a_failed_bind();
		const char *second;

		ev.notes = NOTE_BIT(note);
		ev.prepared = REUSED_ADDR;
		second = strchr(rendered_text(&ev, false), '\n') + 1;
		assert_int_equal(strspn(second, " "), CALL_COLUMN);
		assert_int_equal(strncmp(second + CALL_COLUMN, "note: ", 6), 0);
		assert_ptr_equal(strchr(second, '\n') + 1, second + strlen(second));
	}
}

/* A program's name can hold anything: JSON stays JSON, and text moves no cursor. */
static void wild_names(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct event ev = a_bind();
		const char *line;

		for (size_t j = 0; j < sizeof(ev.prog); j++)
			ev.prog[j] = (char)(i < 256 ? i : (int)next_random(&seed));
		assert_contract(rendered_json(&ev));
		line = rendered_text(&ev, false);
		for (const char *at = line; at[1]; at++)
			if (*at != '\n' && ((unsigned char)*at < ' ' || *at == 0x7f))
				fail_msg("byte %02x in a line of text", (unsigned char)*at);
		assert_int_equal(strncmp(strchr(line, '\n'), "\n" NOTE_LINE "note", 31), 0);
	}
}

/* The longest text among those of a function; how the longest possible event is made. */

static const char *longer(const char *a, const char *b)
{
	return strlen(b) > strlen(a) ? b : a;
}

static int longest_error(void)
{
	int longest = EPERM;

	for (int error = 1; error < 4096; error++)
		if (error_name(error) && strlen(error_name(error)) > strlen(error_name(longest)))
			longest = error;
	return longest;
}

static int longest_constant(enum name_group group)
{
	const char *longest = "-2147483648";
	int value = INT_MIN;

	for (int i = 0; i < 70000; i++)
		if (constant_name(group, i) &&
		    longer(longest, constant_name(group, i)) != longest) {
			longest = constant_name(group, i);
			value = i;
		}
	return value;
}

static struct endpoint longest_end(void)
{
	struct endpoint end = {.family = AF_INET6, .port = 65535, .scope = UINT32_MAX};

	memset(end.addr, 0xff, sizeof(end.addr));
	return end;
}

static struct sock_view longest_view(void)
{
	struct sock_view view = {
		.cookie = UINT64_MAX,
		.local = longest_end(),
		.peer = longest_end(),
		.was = STATE_ESTABLISHED,
		.state = STATE_ESTABLISHED,
		.n_via = VIA_MAX,
		.has_timer = true,
		.timer_ms = UINT32_MAX,
	};

	for (int i = 0; i < VIA_MAX; i++)
		view.via[i] = STATE_ESTABLISHED;
	return view;
}

static void longest_args(struct event *ev)
{
	static const struct {
		int level;
		enum name_group group;
	} levels[] = {{SOL_SOCKET, NAMES_so}, {IPPROTO_IPV6, NAMES_ipv6}, {IPPROTO_TCP, NAMES_tcp}};
	size_t longest = 0;

	ev->has_args = true;
	switch (ev->call) {
	case CALL_socket:
		ev->args.socket.domain = longest_constant(NAMES_domain);
		ev->args.socket.type = longest_constant(NAMES_type) | SOCK_NONBLOCK | SOCK_CLOEXEC;
		ev->args.socket.protocol = longest_constant(NAMES_protocol);
		return;
	case CALL_setsockopt:
	case CALL_getsockopt:
		for (size_t i = 0; i < COUNT_OF(levels); i++) {
			const int option = longest_constant(levels[i].group);
			const size_t len =
				strlen(constant_name(NAMES_level, levels[i].level)) +
				strlen(longer("", constant_name(levels[i].group, option)));

			if (len > longest) {
				longest = len;
				ev->args.sockopt.level = levels[i].level;
				ev->args.sockopt.option = option;
			}
		}
		ev->more.value.readable = true;
		ev->more.value.len = UINT32_MAX;
		return;
	case CALL_listen:
		ev->args.backlog = INT_MIN;
		return;
	case CALL_shutdown:
		ev->args.how = INT_MIN;
		return;
	case CALL_dup2:
	case CALL_dup3:
		ev->args.newfd = INT_MIN;
		return;
	case CALL_fcntl:
		ev->args.fcntl.command = longest_constant(NAMES_fcntl);
		ev->args.fcntl.newfd = LONG_MIN;
		return;
	default:
		ev->has_args = false;
	}
}

static struct holders longest_holders(void)
{
	return (struct holders){
		.listeners = UINT32_MAX,
		.bound = UINT32_MAX,
		.live = UINT32_MAX,
		.dying = UINT32_MAX,
		.longest_ms = UINT32_MAX,
		.without_end = UINT32_MAX,
		.dying_in = STATE_BIT(STATE_ESTABLISHED),
		.local = longest_end(),
		.peer = longest_end(),
		.taken = UINT32_MAX,
		.inode = UINT32_MAX,
		.uid = UINT32_MAX,
		.first_port = UINT16_MAX,
		.last_port = UINT16_MAX,
		.cause = CAUSE_EITHER,
		.state = STATE_ESTABLISHED,
		.own_fd = INT_MAX,
		.others = UINT32_MAX,
		.shared_by_fork = true,
		.dual_stack = true,
		.inherited = true,
		.or_inherited = true,
		.had_option = true,
	};
}

/* A thread of ours: the longest sentence of still-open. */
static struct holders longest_keeper(void)
{
	struct holders keeper = {.pid = INT_MIN, .tid = INT_MIN, .fin_sent = true};

	memset(keeper.prog, '"', 15);
	return keeper;
}

static void longest_figures(struct event *ev)
{
	if (ev->call == CALL_bind || ev->call == CALL_listen || ev->call == CALL_connect)
		ev->more.holders = longest_holders();
	else if (call_more((enum call_id)ev->call) == PART_HOLDERS)
		ev->more.holders = longest_keeper();
	if (ev->has_closed) {
		ev->more.closed.fd = INT_MIN;
		ev->more.closed.sock = longest_view();
	}
	ev->figures.closed_ago_ns = UINT64_MAX;
	ev->figures.unread = UINT32_MAX;
	if (call_more((enum call_id)ev->call) == PART_DESCRIPTORS)
		ev->more.descriptors = (struct descriptors){
			.limit = UINT32_MAX,
			.tcp_at_least = UINT32_MAX,
			.queued = UINT32_MAX,
			.mostly = STATE_CLOSE_WAIT,
		};
	ev->figures.queued = UINT32_MAX;
	ev->figures.backlog = UINT32_MAX - 1;
	ev->figures.dropped = UINT32_MAX;
	ev->figures.after_fin = true;
	ev->figures.closed_other = true;
	ev->figures.close_wait_ms = UINT32_MAX;
	ev->figures.waited_ms = UINT32_MAX;
	ev->figures.lost = UINT64_MAX;
	ev->figures.first_port = UINT16_MAX;
	ev->figures.closed_by = INT_MIN;
	ev->figures.closed_call = CALL_close_range;
	ev->figures.retransmits = UINT8_MAX;
	ev->figures.wait_interrupted = true;
	ev->figures.over_ms = UINT32_MAX;
	ev->figures.syns = UINT8_MAX;
	ev->figures.connect_how = UNREACHABLE_UNREAD;
	ev->figures.bound_here = true;
}

/* Everything at its longest, whether or not a real call could have it all at once. */
static struct event longest_event(enum call_id call)
{
	struct event ev = {
		.time_ns = UINT64_MAX,
		.dur_ns = UINT64_MAX,
		.seq = UINT64_MAX,
		.pid = INT_MIN,
		.tid = INT_MIN + 1,
		.ret = INT64_MIN,
		.error = call == CALL_wait ? 0 : longest_error(),
		.fd = INT_MIN,
		.call = (uint8_t)call,
		.by_shim = call == CALL_setsockopt || call == CALL_wait,
		.has_fd = call != CALL_socket,
		.has_ret = call != CALL_wait,
		.has_sock = true,
		.has_closed = call == CALL_dup2 || call == CALL_dup3,
		.prepared = REUSED_ADDR | REUSED_PORT,
		.reuse = REUSE_GENTLE,
		.sock = longest_view(),
	};

	memset(ev.prog, 1, 15);
	longest_args(&ev);
	longest_figures(&ev);
	return ev;
}

/*
 * Which notes a call may bear, as the contract's section 5 has it, and which of
 * them at once: of a column only one, for they answer the same question.
 */
enum { COLUMNS = 4 };

#define CLOSES                                                                                     \
	(CALL_BIT(CALL_close) | CALL_BIT(CALL_fclose) | CALL_BIT(CALL_dup2) |                      \
	 CALL_BIT(CALL_dup3) | CALL_BIT(CALL_close_range) | CALL_BIT(CALL_closefrom))
#define ACCEPTS (CALL_BIT(CALL_accept) | CALL_BIT(CALL_accept4))
#define MAKES (ACCEPTS | CALL_BIT(CALL_socket) | CALL_BIT(CALL_dup) | CALL_BIT(CALL_fcntl))
#define BINDS (CALL_BIT(CALL_bind) | CALL_BIT(CALL_listen))
#define FAILS (CALL_BIT(CALL_connect) | CALL_BIT(CALL_getsockopt) | CLOSES)

static const struct {
	const char *code;
	uint32_t calls;
	int column;
} note_rules[] = {
	{"reuse-enabled", BINDS, 0},
	{"reuse-respected", CALL_BIT(CALL_bind), 0},
	{"reuse-too-late", CALL_BIT(CALL_setsockopt), 0},
	{"in-use-listener", BINDS, 1},
	{"in-use-bound", BINDS, 1},
	{"in-use-dying", BINDS, 1},
	{"ports-exhausted", BINDS | CALL_BIT(CALL_connect), 1},
	{"not-local", CALL_BIT(CALL_bind), 1},
	{"privileged-port", CALL_BIT(CALL_bind), 1},
	{"waiting", CALL_BIT(CALL_wait), 2},
	{"waited", CALL_BIT(CALL_bind), 2},
	{"half-closed", CALL_BIT(CALL_shutdown), 0},
	{"no-wire-effect", CALL_BIT(CALL_shutdown), 0},
	{"peer-reset", ~CALL_BIT(CALL_socket), 1},
	{"sandboxed", CALL_BIT(CALL_prctl) | CALL_BIT(CALL_syscall), 1},
	{"reset", CLOSES, 0},
	{"queue-reset", CLOSES | CALL_BIT(CALL_shutdown), 0},
	{"still-open", CLOSES, 0},
	{"double-close", CLOSES, 0},
	{"close-wait", CLOSES, 2},
	{"lost-events", ~0u, -1},
	{"no-descriptors", MAKES, 0},
	{"backlog-full", ACCEPTS | CLOSES | CALL_BIT(CALL_listen), 3},
	{"backlog-cut", CALL_BIT(CALL_listen), 2},
	{"not-listening", ACCEPTS, 0},
	{"shared-port", BINDS, 1},
	{"address-taken", CALL_BIT(CALL_connect), 1},
	{"self-connect", CALL_BIT(CALL_connect), 1},
	{"refused", FAILS, 1},
	{"unreachable", FAILS, 1},
	{"timed-out", FAILS, 1},
};

static int rule_of(enum note_id note)
{
	for (size_t i = 0; i < COUNT_OF(note_rules); i++)
		if (strcmp(note_rules[i].code, note_code(note)) == 0)
			return (int)i;
	fail_msg("note %s: write down here with which calls it comes", note_code(note));
	return -1;
}

/* One that may bear it: of others a part of the event is another one's. */
static enum call_id a_call_with(enum note_id note)
{
	return (enum call_id)__builtin_ctz(note_rules[rule_of(note)].calls);
}

/* All that the call may bear, at once or not. */
static uint64_t all_notes(const struct event *ev)
{
	uint64_t notes = 0;

	for (int note = 0; note < NOTE_COUNT; note++)
		if (note_rules[rule_of((enum note_id)note)].calls & CALL_BIT(ev->call))
			notes |= NOTE_BIT(note);
	return notes;
}

/* The longest notes that the call can bear at once. */
static uint64_t longest_notes(const struct event *ev)
{
	uint64_t notes = NOTE_BIT(NOTE_LOST_EVENTS);
	size_t longest[COLUMNS] = {0};
	int chosen[COLUMNS] = {-1, -1, -1, -1};

	for (int note = 0; note < NOTE_COUNT; note++) {
		const int rule = rule_of((enum note_id)note), column = note_rules[rule].column;
		struct event with = *ev;
		size_t len;

		if (column < 0 || !(note_rules[rule].calls & CALL_BIT(ev->call)))
			continue;
		with.notes = NOTE_BIT(note);
		len = strlen(rendered_json(&with));
		if (len > longest[column]) {
			longest[column] = len;
			chosen[column] = note;
		}
	}
	for (int column = 0; column < COLUMNS; column++)
		if (chosen[column] >= 0)
			notes |= NOTE_BIT(chosen[column]);
	return notes;
}

/* No event makes a longer line of JSON than the contract allows, even with every note. */
static void longest_json(void **state)
{
	(void)state;
	for (int call = 0; call < CALL_COUNT; call++) {
		struct event ev = longest_event((enum call_id)call);

		ev.notes = all_notes(&ev);
		assert_contract(rendered_json(&ev));
		ev.notes = longest_notes(&ev);
		assert_in_range(strlen(rendered_json(&ev)), 100, MOST_JSON);
		assert_contract(rendered_json(&ev));
	}
}

/* Whatever the room, what is rendered stays in it, and a cut is admitted. */
static void any_room(void **state)
{
	char *const end = memory_end(ROOM);

	(void)state;
	for (int call = 0; call < CALL_COUNT; call++) {
		struct event ev = longest_event((enum call_id)call);
		size_t json, text;

		ev.notes = all_notes(&ev);
		json = strlen(rendered_json(&ev));
		text = strlen(rendered_text(&ev, true));
		for (size_t size = 0; size < 5000; size += size < 100 ? 1 : 37) {
			struct out out = out_into(end - size, size);

			render_json(&out, &ev);
			assert_int_equal(out.truncated, size < json);
			out = out_into(end - size, size);
			render_text(&out, &ev, &(struct text_style){.colored = true});
			assert_int_equal(out.truncated, size < text);
		}
	}
}

/* All notes are plain: no quote, no backslash, no control, nothing beyond ASCII. */
static void plain_notes(void **state)
{
	(void)state;
	for (int note = 0; note < NOTE_COUNT; note++)
		for (int error = 0; error < 2; error++) {
			const enum call_id call = a_call_with((enum note_id)note);
			struct event ev = longest_event(call);
			char text[1024];
			struct out out = out_into(text, sizeof(text));

			ev.error *= error;
			if (call_more(call) == PART_HOLDERS) {
				ev.more.holders.pid = error;
				memset(ev.more.holders.prog, '"', 8);
				memset(ev.more.holders.prog + 8, 0x9b, 8);
			}
			out_note(&out, (enum note_id)note, &ev);
			assert_false(out.truncated);
			assert_true(out_len(&out) > 0);
			for (size_t i = 0; i < out_len(&out); i++)
				assert_true(text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' &&
					    text[i] != '\\');
		}
}

/* Each longest event of a call comes out whole at the other end of event_emit. */
static void emit_body(void *arg)
{
	static char expected[ROOM], got[ROOM];
	char path[] = "/tmp/reuse-render-XXXXXX";
	const int reader = mkstemp(path), writer = open(path, O_WRONLY | O_APPEND);
	bool whole = true;
	ssize_t at = 0;

	(void)arg;
	MUST(reader >= 0 && writer >= 0);
	unlink(path);
	MUST(process_init() == 0);
	MUST(sink_open_fd(writer) == 0);
	for (int call = 0; call < CALL_COUNT * 2; call++) {
		struct event ev = longest_event((enum call_id)(call / 2));
		struct out out = out_into(expected, sizeof(expected));
		ssize_t len;

		shim.set.format = call % 2 ? FORMAT_JSON : FORMAT_TEXT;
		shim.colored = true;
		ev.notes = longest_notes(&ev);
		if (call % 2)
			render_json(&out, &ev);
		else
			render_text(&out, &ev, &(struct text_style){.colored = true});
		atomic_store(&this_process.seq, UINT64_MAX - 1);
		atomic_store(&this_process.lost, UINT64_MAX);
		event_emit(&ev);
		len = pread(reader, got, sizeof(got), at);
		if (len != (ssize_t)out_len(&out) || memcmp(got, expected, (size_t)len) != 0)
			fprintf(stderr, "%s as %s: %zu bytes, and %zd arrived\n",
				call_name((enum call_id)(call / 2)), call % 2 ? "JSON" : "text",
				out_len(&out), len);
		whole &= len == (ssize_t)out_len(&out) && memcmp(got, expected, (size_t)len) == 0 &&
			 atomic_load(&this_process.lost) == 0;
		at += len;
	}
	MUST(whole);
}

static void longest_emitted(void **state)
{
	(void)state;
	in_child(emit_body, NULL);
}

static void lost_body(void *arg)
{
	struct event ev = a_listen();
	int ends[2];
	char line[ROOM];
	ssize_t len;

	(void)arg;
	MUST(process_init() == 0);
	shim.set.format = FORMAT_JSON;
	for (int i = 1; i <= 3; i++) {
		ev.notes = 0;
		event_emit(&ev); /* there is no sink yet */
		MUST(ev.seq == (uint64_t)i);
	}
	MUST(pipe(ends) == 0);
	MUST(sink_open_fd(ends[1]) == 0);
	ev.notes = 0;
	event_emit(&ev);
	len = read(ends[0], line, sizeof(line) - 1);
	MUST(len > 0);
	line[len] = 0;
	MUST(strstr(line, "\"seq\":4,"));
	MUST(strstr(line, "{\"code\":\"lost-events\",\"text\":\"3 events "));
	ev.notes = 0;
	event_emit(&ev);
	len = read(ends[0], line, sizeof(line) - 1);
	MUST(len > 0);
	line[len] = 0;
	MUST(strstr(line, "\"seq\":5,"));
	MUST(!strstr(line, "lost-events"));
}

/* Lost events are numbered all the same, and told once by the next that can be written. */
static void lost_are_told(void **state)
{
	(void)state;
	in_child(lost_body, NULL);
}

static void assert_like_libc(uint64_t time_ns)
{
	const time_t seconds = (time_t)(time_ns / 1000000000u);
	char room[64], expected[64], *fraction;
	struct out ours = out_into(room, sizeof(room) - 1);
	struct tm tm;

	assert_non_null(gmtime_r(&seconds, &tm));
	assert_true(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &tm) > 0);
	fraction = expected + strlen(expected);
	snprintf(fraction, 8, "%06" PRIu64, time_ns / 1000 % 1000000);

	out_time(&ours, time_ns);
	out_time_of_day(&ours, time_ns);
	*ours.at = 0;
	assert_memory_equal(room, expected, strlen(expected));
	assert_string_equal(room + strlen(expected), strchr(expected, 'T') + 1);
}

/* Dates are gmtime's: each day's ends up to the last that 64 bits hold, and any time between. */
static void dates(void **state)
{
	static const char *const days[] = {
		"1970-01-01 00:00:00", "1972-02-29 23:59:59", "1999-12-31 23:59:59",
		"2000-02-29 12:00:00", "2024-02-29 00:00:00", "2025-02-28 23:59:59",
		"2026-03-01 00:00:00", "2038-01-19 03:14:08", "2096-02-29 00:00:00",
		"2100-02-28 23:59:59", "2100-03-01 00:00:00", "2100-12-31 23:59:59",
		"2400-02-29 23:59:59",
	};
	const uint64_t day = UINT64_C(86400) * 1000000000u;
	uint64_t seed = 5;

	(void)state;
	if (sizeof(time_t) < sizeof(seed))
		skip(); /* there libc's end in 2038 */
	for (size_t i = 0; i < COUNT_OF(days); i++)
		assert_like_libc(nanoseconds(days[i], (uint32_t)i));
	for (uint64_t midnight = day; midnight < UINT64_MAX - day; midnight += day) {
		assert_like_libc(midnight - 1);
		assert_like_libc(midnight);
	}
	for (int i = 0; i < 100000; i++)
		assert_like_libc(next_random(&seed));
	assert_like_libc(0);
	assert_like_libc(UINT64_MAX);
}

enum { SECONDS = 4, HANDLERS = 3000 };

static char seconds_like_libc[SECONDS][32];
static volatile sig_atomic_t handled, wrong;

static bool is_right(unsigned int second)
{
	char room[32];
	struct out out = out_into(room, sizeof(room));

	out_time(&out, UINT64_C(1000000000) * second);
	return memcmp(room, seconds_like_libc[second], sizeof("1970-01-01T00:00:00.000000") - 1) ==
	       0;
}

static void on_timer(int signal)
{
	(void)signal;
	wrong += !is_right(SECONDS / 2 + (unsigned int)handled % (SECONDS / 2));
	handled++;
}

/* A handler that comes in the midst of it has another second. */
static void times_in_a_handler(void **state)
{
	const struct itimerval often = {{0, 20}, {0, 20}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_timer}, before;

	(void)state;
	for (int second = 0; second < SECONDS; second++)
		snprintf(seconds_like_libc[second], sizeof(seconds_like_libc[second]),
			 "1970-01-01T00:00:%02d.000000", second);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	/* Each twice: made, and kept. */
	for (unsigned int i = 0; handled < HANDLERS; i++)
		if (!is_right(i / 2 % (SECONDS / 2)))
			wrong++;
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_text),
		cmocka_unit_test(golden_json),
		cmocka_unit_test(keys_in_order),
		cmocka_unit_test(colors),
		cmocka_unit_test(columns),
		cmocka_unit_test(note_lines),
		cmocka_unit_test(wild_names),
		cmocka_unit_test(longest_json),
		cmocka_unit_test(any_room),
		cmocka_unit_test(plain_notes),
		cmocka_unit_test(longest_emitted),
		cmocka_unit_test(lost_are_told),
		cmocka_unit_test(dates),
		cmocka_unit_test(who),
		cmocka_unit_test(times_in_a_handler),
	};

	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
