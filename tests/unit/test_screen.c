/* SPDX-License-Identifier: MIT */
/* Text on a terminal: columns, words that go on below, what the reader can show. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/reader.h"
#include "log/render.h"
#include "unit.h"

enum { ROOM = 8192 };

static const char *rendered(const struct event *ev, uint16_t width, bool utf8)
{
	static char text[ROOM];
	const struct text_style style = {.utf8 = utf8, .width = width};
	struct out out = out_into(text, sizeof(text) - 1);

	render_text(&out, ev, &style);
	assert_false(out.truncated);
	*out.at = 0;
	return text;
}

static struct endpoint ipv4(const char *address, uint16_t port)
{
	struct endpoint end = {.family = AF_INET, .port = port};

	assert_int_equal(inet_pton(AF_INET, address, end.addr), 1);
	return end;
}

/* 17:02:13.100127 of server[4242]: fd 3, successful. */
static struct event event_of(enum call_id call)
{
	struct event ev = {
		.call = (uint8_t)call,
		.time_ns = UINT64_C(61333100127000),
		.pid = 4242,
		.tid = 4242,
		.fd = 3,
		.prog = "server",
		.has_fd = true,
		.has_ret = true,
		.has_sock = true,
		.sock.was = STATE_CLOSED,
		.sock.state = STATE_CLOSED,
	};

	return ev;
}

static struct event an_accept(void)
{
	struct event ev = event_of(CALL_accept);

	ev.ret = 4;
	ev.sock.local = ipv4("127.0.0.1", 9999);
	ev.sock.peer = ipv4("127.0.0.1", 50178);
	ev.sock.was = STATE_UNKNOWN;
	ev.sock.via[0] = STATE_SYN_RCVD;
	ev.sock.n_via = 1;
	ev.sock.state = STATE_ESTABLISHED;
	return ev;
}

static struct event a_close(void)
{
	struct event ev = an_accept();

	ev.call = CALL_close;
	ev.fd = 4;
	ev.ret = 0;
	ev.sock.was = STATE_ESTABLISHED;
	ev.sock.via[0] = STATE_CLOSE_WAIT;
	ev.sock.via[1] = STATE_LAST_ACK;
	ev.sock.n_via = 2;
	ev.sock.state = STATE_CLOSED;
	return ev;
}

static struct event a_time_wait(void)
{
	struct event ev = a_close();

	ev.sock.via[0] = STATE_FIN_WAIT_1;
	ev.sock.via[1] = STATE_FIN_WAIT_2;
	ev.sock.state = STATE_TIME_WAIT;
	ev.sock.has_timer = true;
	ev.sock.timer_ms = 59960;
	return ev;
}

static struct event a_setsockopt(void)
{
	struct event ev = event_of(CALL_setsockopt);
	const int on = 1;

	ev.has_args = true;
	ev.args.sockopt.level = SOL_SOCKET;
	ev.args.sockopt.option = SO_REUSEADDR;
	ev.more.value.len = sizeof(on);
	ev.more.value.readable = true;
	memcpy(ev.more.value.bytes, &on, sizeof(on));
	ev.by_shim = true;
	return ev;
}

static struct event a_socket(void)
{
	struct event ev = event_of(CALL_socket);

	ev.has_fd = false;
	ev.ret = 3;
	ev.has_args = true;
	ev.args.socket.domain = AF_INET;
	ev.args.socket.type = SOCK_STREAM | SOCK_CLOEXEC;
	return ev;
}

static struct event a_connect(void)
{
	struct event ev = event_of(CALL_connect);

	ev.ret = -1;
	ev.error = EINPROGRESS;
	ev.sock.peer = ipv4("127.0.0.1", 8080);
	ev.sock.state = STATE_SYN_SENT;
	return ev;
}

#define HEAD "17:02:13.100 server[4242] "

/* The call, and behind it what leads to the state, which begins at the 70th of 80 columns. */
static const char *at_edge(const char *call, const char *way, const char *state)
{
	static char line[ROOM];
	const int room = 69 - (int)strlen(strrchr(call, '\n') ? strrchr(call, '\n') + 1 : call);

	snprintf(line, sizeof(line), "%s%*s%s\n", call, room, way, state);
	return line;
}

/* 80 columns: a line an event, the last state at the right edge. */
static void eighty_columns(void **state)
{
	static const struct {
		struct event (*make)(void);
		const char *call, *way, *state;
	} lines[] = {
		{a_socket, HEAD "socket(AF_INET, SOCK_STREAM|..) = 3", "", "CLOSED"},
		{a_setsockopt, HEAD "setsockopt(3, SO_REUSEADDR, 1) (shim)", "", "CLOSED"},
		{an_accept, HEAD "accept(3) = 4 <127.0.0.1:50178>", "-> ", "ESTABLISHED"},
		{a_close, HEAD "close(4) = 0", "-> CLOSE_WAIT -> LAST_ACK -> ", "CLOSED"},
		{a_time_wait, HEAD "close(4) = 0", "-> FIN_WAIT_2 -> (59.9 s) ", "TIME_WAIT"},
		{a_connect, HEAD "connect(3, 127.0.0.1:8080) = EINPROGRESS", "", "SYN_SENT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct event ev = lines[i].make();

		assert_string_equal(rendered(&ev, 80, false),
				    at_edge(lines[i].call, lines[i].way, lines[i].state));
	}
}

/* What is too long for its line: the state keeps its column, in the next one. */
static void a_long_call(void **state)
{
	struct event ev = a_connect();

	(void)state;
	strcpy(ev.prog, "a-long-program!");
	ev.pid = ev.tid = 1234567;
	assert_string_equal(rendered(&ev, 80, false),
			    at_edge("17:02:13.100 a-long-program![1234567] connect(3, "
				    "127.0.0.1:8080) = EINPROGRESS\n",
				    "CLOSED -> ", "SYN_SENT"));

	/* Nor does a call that is longer than the screen leave it: it goes on at a word. */
	ev.tid = 7654321;
	assert_string_equal(rendered(&ev, 80, false),
			    at_edge("17:02:13.100 a-long-program![1234567/7654321] connect(3, "
				    "127.0.0.1:8080) =\n                   EINPROGRESS",
				    "CLOSED -> ", "SYN_SENT"));
}

/* A wide terminal: whole lines, and a column behind the longest call. */
static void two_hundred_columns(void **state)
{
	const struct event close = a_close(), setsockopt = a_setsockopt();
	const char *found;

	(void)state;
	found = rendered(&close, 200, false);
	assert_ptr_equal(strstr(found, "ESTABLISHED -> CLOSE_WAIT -> LAST_ACK -> CLOSED\n"),
			 found + 114);
	assert_non_null(strstr(found, "close(4) = 0 <127.0.0.1:9999 127.0.0.1:50178> "));
	found = rendered(&setsockopt, 200, false);
	assert_ptr_equal(strstr(found, "CLOSED\n"), found + 114);
	assert_non_null(strstr(found, "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 1) = 0 (by "));
}

/* Notes go on below, at words: nothing is lost, no line is too long, all are indented. */
static void notes_are_wrapped(void **state)
{
	(void)state;
	for (uint16_t width = 60; width < 250; width += 7) {
		struct event ev = a_close();
		char whole[ROOM], wrapped[ROOM], *to = wrapped;
		const char *at;

		ev.notes = NOTE_BIT(NOTE_CLOSE_WAIT) | NOTE_BIT(NOTE_HALF_CLOSED);
		ev.figures.close_wait_ms = 12345;
		snprintf(whole, sizeof(whole), "%s", strstr(rendered(&ev, 0, false), "note: "));
		at = strstr(rendered(&ev, width, false), "note: ");
		for (const char *line = at; line; line = strchr(line + 1, '\n'))
			assert_true(strcspn(line + 1, "\n") <= width);
		/* Runs of spaces and ends of lines are one space. */
		for (; *at; at++)
			if ((*at != ' ' && *at != '\n') || (to > wrapped && to[-1] != ' '))
				*to++ = *at == '\n' ? ' ' : *at;
		*to = 0;
		to = whole;
		for (const char *from = whole; *from; from++)
			if ((*from != ' ' && *from != '\n') || (to > whole && to[-1] != ' '))
				*to++ = *from == '\n' ? ' ' : *from;
		*to = 0;
		assert_string_equal(wrapped, whole);
	}
}

/* Who reads UTF-8 gets names as they are, but for what would move the cursor. */
static void names_beyond_ascii(void **state)
{
	struct event ev = a_close();

	(void)state;
	strcpy(ev.prog, "caf\303\251\302\233\342\200\256x\377");
	assert_non_null(strstr(rendered(&ev, 0, true), " caf\303\251??x?[4242] "));
	assert_non_null(strstr(rendered(&ev, 0, false), " caf??"));
	assert_null(strpbrk(rendered(&ev, 0, false), "\303\251\302\233\342\200\256\377"));

	/* A character takes one column, however many bytes. */
	strcpy(ev.prog, "\303\251\303\251\303\251\303\251\303\251\303\251");
	assert_non_null(strstr(rendered(&ev, 80, true), "close(4) = 0  -> CLOSE_WAIT -> LAST_ACK"));
}

/* A call that took 100 ms or more says so. */
static void long_calls(void **state)
{
	struct event ev = a_close();

	(void)state;
	ev.dur_ns = 99999999;
	assert_null(strstr(rendered(&ev, 0, false), "after"));
	ev.dur_ns = 100000000;
	assert_non_null(strstr(rendered(&ev, 0, false), "close(4) = 0 after 0.1 s <"));
	ev.dur_ns = 2049000000;
	assert_non_null(strstr(rendered(&ev, 80, false), "close(4) = 0 after 2.0 s "));
}

static void who_wants_colors(void **state)
{
	(void)state;
	assert_true(reader_wants_color(COLOR_AUTO, true, NULL, "xterm"));
	assert_true(reader_wants_color(COLOR_AUTO, true, "", "xterm"));
	assert_false(reader_wants_color(COLOR_AUTO, true, "1", "xterm"));
	assert_false(reader_wants_color(COLOR_AUTO, true, NULL, "dumb"));
	assert_false(reader_wants_color(COLOR_AUTO, true, NULL, NULL));
	assert_false(reader_wants_color(COLOR_AUTO, false, NULL, "xterm"));
	assert_true(reader_wants_color(COLOR_ALWAYS, false, "1", "dumb"));
	assert_false(reader_wants_color(COLOR_NEVER, true, NULL, "xterm"));
}

static void who_reads_utf8(void **state)
{
	(void)state;
	assert_true(reader_knows_utf8(NULL, NULL, "C.UTF-8"));
	assert_true(reader_knows_utf8("", "", "de_DE.utf8@euro"));
	assert_true(reader_knows_utf8(NULL, "en_US.UTF-8", "C"));
	assert_false(reader_knows_utf8("C", "en_US.UTF-8", "en_US.UTF-8"));
	assert_false(reader_knows_utf8(NULL, NULL, "de_DE.ISO-8859-15"));
	assert_false(reader_knows_utf8(NULL, NULL, NULL));
}

/* In any room and at any width nothing is written beyond it. */
static void any_room(void **state)
{
	(void)state;
	for (uint16_t width = 0; width < 200; width += 9)
		for (size_t room = 0; room < 400; room += 3) {
			char buf[401];
			struct event ev = a_close();
			const struct text_style style = {.width = width, .colored = room & 1};
			struct out out = out_into(buf, room);

			ev.notes = NOTE_BIT(NOTE_CLOSE_WAIT);
			memset(buf, '#', sizeof(buf));
			render_text(&out, &ev, &style);
			assert_int_equal(buf[room], '#');
			assert_true(out.at <= out.end);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eighty_columns),
		cmocka_unit_test(a_long_call),
		cmocka_unit_test(two_hundred_columns),
		cmocka_unit_test(notes_are_wrapped),
		cmocka_unit_test(names_beyond_ascii),
		cmocka_unit_test(long_calls),
		cmocka_unit_test(who_wants_colors),
		cmocka_unit_test(who_reads_utf8),
		cmocka_unit_test(any_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
