/* SPDX-License-Identifier: MIT */
/*
 * test_event_json.c - cli/events/event_json: a line of JSON as an event, whoever has written it;
 * and what it is read with (json, endpoint_parse, lines). What each row of calls.def and notes.def
 * makes comes back the same: test_shape.
 */
#include "events/event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "events/endpoint_parse.h"
#include "events/lines.h"
#include "facts/names.h"
#include "log/render.h"
#include "unit.h"

#define HEAD                                                                                       \
	"{\"v\":1,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":4242,\"tid\":4243,"             \
	"\"prog\":\"server\",\"seq\":7,"
#define LINE HEAD "\"call\":\"listen\",\"fd\":3,\"ret\":0,\"args\":{\"backlog\":64},\"dur_ns\":5}"

static struct event_json reader;

/* In a room of its own: one byte too far is seen by the sanitizers. */
static enum event_line read_as(const char *line, size_t len, struct event *ret)
{
	char *copy = malloc(len ? len : 1);
	enum event_line is;

	assert_non_null(copy);
	memcpy(copy, line, len);
	if (!reader.json)
		assert_true(event_json_begin(&reader));
	is = event_json_read(&reader, copy, len, ret);
	free(copy);
	return is;
}

static void assert_is(enum event_line is, const char *line)
{
	struct event ev;

	if (read_as(line, strlen(line), &ev) != is)
		fail_msg("not so: %s", line);
}

static const char *json_of(const struct event *ev)
{
	static char line[4096];
	struct out out = out_into(line, sizeof(line) - 1);

	render_json(&out, ev);
	assert_false(out.truncated);
	*out.at = '\0';
	return line;
}

static void what_a_line_says(void **state)
{
	struct event ev;

	(void)state;
	assert_int_equal(read_as(LINE, strlen(LINE), &ev), LINE_EVENT);
	assert_int_equal(ev.time_ns, UINT64_C(1795539731042390000));
	assert_int_equal(ev.pid, 4242);
	assert_int_equal(ev.tid, 4243);
	assert_string_equal(ev.prog, "server");
	assert_int_equal(ev.seq, 7);
	assert_int_equal(ev.call, CALL_listen);
	assert_true(ev.has_fd && ev.has_ret && ev.has_args && !ev.has_sock && !ev.by_shim);
	assert_int_equal(ev.args.backlog, 64);
	assert_int_equal(ev.dur_ns, 5);
}

/* Whoever has carried it may have brought its keys into another order, or added some. */
static void in_any_order(void **state)
{
	(void)state;
	assert_is(LINE_EVENT,
		  " { \"dur_ns\" : 5 , \"host\":{\"v\":[1.5e9,null,false,\"\\ud83d\\ude00\"]},"
		  "\"call\":\"close\",\"v\":1,\"seq\":1,\"prog\":\"\",\"tid\":1,\"pid\":1,"
		  "\"time\":\"1970-01-01T00:00:00.000000Z\"} \r");
}

/* More keys than any line of ours has: none is missed, and none that is there twice. */
static void among_many_keys(void **state)
{
	static char line[EVENT_LINE_MOST];
	struct event ev;

	(void)state;
	for (unsigned int keys = 0; keys <= 300; keys += 20)
		for (int twice = 0; twice < 2; twice++) {
			struct out out = out_into(line, sizeof(line) - 1);

			out_str(&out, HEAD);
			for (unsigned int i = 0; i < keys; i++) {
				out_str(&out, "\"key");
				out_u64(&out, i);
				out_str(&out, "\":[{\"fd\":1}],");
			}
			out_str(&out, twice ? "\"fd\":3,\"call\":\"close\",\"fd\":3}"
					    : "\"call\":\"close\",\"fd\":3}");
			assert_int_equal(read_as(line, out_len(&out), &ev),
					 twice ? LINE_OTHER : LINE_EVENT);
			assert_true(twice || (ev.has_fd && ev.fd == 3));
		}
}

/* The seconds of the line before are not those of a line of another second. */
static void one_second_after_the_other(void **state)
{
	static const char *const times[] = {
		"2026-11-24T17:02:11.042390Z", "2026-11-24T17:02:11.999999Z",
		"2026-11-24T17:02:12.000000Z", "2026-11-24T17:02:11.042390Z"};
	static const uint64_t us[] = {1795539731042390, 1795539731999999, 1795539732000000,
				      1795539731042390};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char line[256];
		struct event ev;
		const int len = snprintf(line, sizeof(line),
					 "{\"v\":1,\"time\":\"%s\",\"pid\":1,\"tid\":1,"
					 "\"prog\":\"\",\"seq\":1,\"call\":\"close\"}",
					 times[i]);

		assert_int_equal(read_as(line, (size_t)len, &ev), LINE_EVENT);
		assert_int_equal(ev.time_ns, us[i] * 1000);
		assert_is(LINE_OTHER, "{\"v\":1,\"time\":\"1969-11-24T17:02:11.042390Z\","
				      "\"pid\":1,\"tid\":1,\"prog\":\"\",\"seq\":1,"
				      "\"call\":\"close\"}");
	}
}

/* One that is no event, and one of another version or call. */
static void lines_of_others(void **state)
{
	static const char *const others[] = {
		"",
		" ",
		"listening on 9999",
		"{",
		"{}",
		"[]",
		"null",
		"{\"v\":1}",
		"{\"level\":\"info\",\"time\":1,\"pid\":4242,\"msg\":\"listening\"}",
		LINE LINE,
		LINE "x",
		HEAD "\"call\":\"listen\"",
		HEAD "\"call\":\"listen\"]",
		HEAD "\"call\":7}",
		HEAD "\"call\":\"listen\",\"args\":{}}",
		HEAD "\"call\":\"listen\",\"args\":[64]}",
		HEAD "\"call\":\"listen\",\"args\":{\"backlog\":\"64\"}}",
		HEAD "\"call\":\"listen\",\"args\":{\"backlog\":4294967296}}",
		HEAD "\"call\":\"close\",\"args\":{\"backlog\":64}}",
		HEAD "\"call\":\"shutdown\",\"args\":{\"how\":\"SHUT_ALL\"}}",
		HEAD "\"call\":\"socket\",\"args\":{\"domain\":\"AF_INET\",\"type\":\"|\","
		     "\"protocol\":0}}",
		HEAD "\"call\":\"close\",\"closed\":{\"fd\":3}}",
		HEAD "\"call\":\"close\",\"totals\":{\"LISTEN\":3}}",
		HEAD "\"call\":\"close\",\"repeated\":{\"times\":3}}",
		HEAD "\"call\":\"close\",\"pid\":1}",
		HEAD "\"call\":\"close\",\"via\":[\"SYN_SENT\"]:3}",
		HEAD "\"call\":\"close\",\"via\":[]:3}",
		HEAD "\"call\":\"close\",\"call\":\"listen\"}",
		HEAD "\"call\":\"dup\",\"notes\":[{\"code\":\"in-use-bound\",\"text\":\"\"}]}",
		"{\"v\":1,\"time\":\"2026-11-24 "
		"17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":\"\",\"seq\":1,"
		"\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"1969-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":"
		"\"\",\"seq\":1,"
		"\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"9999-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":"
		"\"\",\"seq\":1,"
		"\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,"
		"\"prog\":\"more than 15 bytes\",\"seq\":1,\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":"
		"\"\xff\","
		"\"seq\":1,\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":"
		"\"\\u0000\","
		"\"seq\":1,\"call\":\"close\"}",
		"{\"v\":1,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,\"prog\":"
		"\"\\x\","
		"\"seq\":1,\"call\":\"close\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_is(LINE_OTHER, others[i]);
	assert_is(LINE_UNKNOWN, HEAD "\"call\":\"getpeername\"}");
	assert_is(LINE_UNKNOWN,
		  "{\"v\":2,\"time\":\"2026-11-24T17:02:11.042390Z\",\"pid\":1,\"tid\":1,"
		  "\"prog\":\"\",\"seq\":1,\"call\":\"close\"}");
}

/* However much of it was written. */
static void torn_lines(void **state)
{
	struct event ev;

	(void)state;
	for (size_t len = 0; len < strlen(LINE); len++)
		assert_int_equal(read_as(LINE, len, &ev), LINE_OTHER);
}

/* That a call has failed is not left out: then the whole line is. */
static void unknown_failures(void **state)
{
	static const char line[] =
		HEAD "\"call\":\"close\",\"ret\":-1,\"error\":\"ETOCOME\",\"dur_ns\":5}";
	struct event ev;

	(void)state;
	assert_int_equal(read_as(line, strlen(line), &ev), LINE_OTHER);
}

/* What is not known here is left out, and the rest is told. */
static void unknown_keys(void **state)
{
	static const char line[] = HEAD
		"\"call\":\"close\",\"to_come\":4026531840,\"local\":\"nowhere\",\"was\":"
		"\"DOZING\","
		"\"via\":[\"ESTABLISHED\",\"DOZING\"],\"state\":\"CLOSED\",\"dur_ns\":5,"
		"\"notes\":[{\"code\":\"to-come\",\"text\":\"it will\"},{\"code\":\"half-closed\"},"
		"7,{\"code\":\"double-close\",\"by_call\":\"to-come\"}]}";
	struct event ev;

	(void)state;
	assert_int_equal(read_as(line, strlen(line), &ev), LINE_EVENT);
	assert_int_equal(ev.sock.was, STATE_UNKNOWN);
	assert_int_equal(ev.sock.n_via, 0);
	assert_int_equal(ev.sock.state, STATE_CLOSED);
	assert_int_equal(ev.notes, NOTE_BIT(NOTE_HALF_CLOSED));
	assert_string_equal(
		json_of(&ev), HEAD
		"\"call\":\"close\",\"state\":\"CLOSED\",\"dur_ns\":5,\"notes\":["
		"{\"code\":\"half-closed\",\"text\":\"half-closed: a FIN follows what was sent, "
		"and this end can still receive\"}]}\n");
}

/* The log's own sentence, and nothing in it that moves a cursor or ends a string. */
static void the_sentence_of_the_log(void **state)
{
	static const char line[] = HEAD "\"call\":\"close\",\"dur_ns\":5,\"notes\":[{\"code\":"
					"\"reset\",\"text\":\"so it was"
					"\\u001b[2J\\n\\\"\xc3\xa9\",\"cause\":\"linger\"}]}";
	struct event ev;

	(void)state;
	assert_int_equal(read_as(line, strlen(line), &ev), LINE_EVENT);
	assert_int_equal(ev.figures.reset_cause, RESET_LINGER);
	assert_non_null(strstr(json_of(&ev), "\"text\":\"so it was?[2J??\xc3\xa9\","));
	/* Not that of the next event. */
	assert_is(LINE_EVENT, HEAD "\"call\":\"close\",\"notes\":[{\"code\":\"reset\"}]}");
	assert_non_null(strstr(json_of(&ev), "RST"));
	assert_is(LINE_OTHER, "");
	assert_null(note_said);
}

/* Each name of a constant, an option, an error, as a number and back. */
static void every_name(void **state)
{
	struct event ev, read;
	const char *line;

	(void)state;
	for (int number = -1; number < 300; number++) {
		ev = (struct event){.call = CALL_setsockopt, .has_args = true, .error = number};
		ev.args.sockopt.level = number % 2 ? SOL_SOCKET : number;
		ev.args.sockopt.option = number;
		ev.more.value.readable = true;
		ev.more.value.len = sizeof(number);
		memcpy(ev.more.value.bytes, &number, sizeof(number));
		line = json_of(&ev);
		assert_int_equal(read_as(line, strlen(line) - 1, &read), LINE_EVENT);
		assert_memory_equal(&read.args.sockopt, &ev.args.sockopt, sizeof(ev.args.sockopt));
		assert_memory_equal(&read.more.value, &ev.more.value, sizeof(ev.more.value));
		assert_int_equal(read.error, ev.error);

		ev = (struct event){.call = CALL_socket, .has_args = true};
		ev.args.socket.domain = number;
		ev.args.socket.type = number % 16 | (number & 16 ? SOCK_NONBLOCK : 0) |
				      (number & 32 ? SOCK_CLOEXEC : 0);
		ev.args.socket.protocol = number;
		line = json_of(&ev);
		assert_int_equal(read_as(line, strlen(line) - 1, &read), LINE_EVENT);
		assert_memory_equal(&read.args.socket, &ev.args.socket, sizeof(ev.args.socket));
	}
}

/* However many bytes it has. */
static void every_length(void **state)
{
	(void)state;
	for (uint32_t len = 0; len <= sizeof(((struct option_value *)0)->bytes); len++) {
		struct event ev = {.call = CALL_getsockopt, .has_args = true}, read;
		const char *line;

		ev.more.value.readable = true;
		ev.more.value.len = len;
		memset(ev.more.value.bytes, 0x5a, len);
		line = json_of(&ev);
		assert_int_equal(read_as(line, strlen(line) - 1, &read), LINE_EVENT);
		assert_memory_equal(&read.more.value, &ev.more.value, sizeof(ev.more.value));
	}
}

/* Any bytes are a program's name; what of it was no UTF-8 is none still. */
static void every_program(void **state)
{
	uint64_t seed = 15;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct event ev = {.call = CALL_close}, read;
		char line[4096];

		for (size_t at = 0; at < sizeof(ev.prog) - 1; at++) {
			const uint8_t byte = (uint8_t)next_random(&seed);

			ev.prog[at] = (char)(byte ? byte : 1);
		}
		strcpy(line, json_of(&ev));
		assert_int_equal(read_as(line, strlen(line) - 1, &read), LINE_EVENT);
		assert_string_equal(json_of(&read), line);
	}
}

static void deep_and_long(void **state)
{
	enum { LEN = EVENT_LINE_MOST };
	static char line[LEN + 1];
	struct event ev;

	(void)state;
	for (const char *c = "[{\"1,:"; *c; c++) {
		memset(line, *c, LEN);
		line[0] = '{';
		assert_int_equal(read_as(line, LEN, &ev), LINE_OTHER);
	}
	for (size_t at = 0; at < LEN; at++)
		line[at] = "{\"\":"[at % 4];
	assert_int_equal(read_as(line, LEN, &ev), LINE_OTHER);
	/* A string that long does no harm. */
	memset(line, 'x', LEN);
	memcpy(line, LINE, strlen(LINE) - 1);
	memcpy(line + strlen(LINE) - 1, ",\"more\":\"", 9);
	memcpy(line + LEN - 2, "\"}", 2);
	assert_int_equal(read_as(line, LEN, &ev), LINE_EVENT);
}

static void every_address(void **state)
{
	static const char *const none[] = {
		"",	     "1.2.3.4",	      "1.2.3.4:",     ":80",
		"1.2.3:80",  "1.2.3.4:65536", "1.2.3.4:080",  "1.2.3.4:-1",
		"[::1]",     "[::1]80",	      "[::1:80",      "::1:80",
		"[::g]:80",  "[::1%]:80",     "[::1%0]:80",   "[::1%eth0]:80",
		"[::1]:80 ", "1.2.3.4:80x",   "[1.2.3.4]:80", "[::1%4294967296]:80"};
	struct endpoint end = {.port = 7};
	uint64_t seed = 16;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(endpoint_parse(none[i], &end));
	assert_int_equal(end.port, 7);
	for (int i = 0; i < 20000; i++) {
		struct endpoint any = {.family = i % 2 ? AF_INET : AF_INET6};
		char text[128];
		struct out out = out_into(text, sizeof(text) - 1);
		uint64_t bits[2] = {next_random(&seed), next_random(&seed)};

		memcpy(any.addr, bits, any.family == AF_INET ? 4 : 16);
		any.port = (uint16_t)next_random(&seed);
		any.scope = any.family == AF_INET6 && i % 3 ? (uint32_t)next_random(&seed) : 0;
		out_endpoint(&out, &any);
		*out.at = '\0';
		assert_true(endpoint_parse(text, &end));
		assert_memory_equal(&end, &any, sizeof(any));
	}
}

/* Lines of so many bytes, read by pieces of any length. */
static void lines_of_a_pipe(void **state)
{
	enum { MOST = 16 };
	static const char text[] = "one\n\ntwo\n0123456789abcdef\n0123456789abcdefg\nthree\n"
				   "0123456789abcdef0123456789abcdef0123456789\nfour\nrest";
	static const char *const whole[] = {"one", "", "two", "0123456789abcdef", "three", "four"};

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		size_t written = 0, lines = 0, longer = 0, len;
		const char *line;
		struct lines in;
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		assert_true(lines_begin(&in, MOST));
		while (written < strlen(text)) {
			const size_t left = strlen(text) - written;
			const size_t n = piece < left ? piece : left;
			enum lines_got got;

			assert_int_equal(write(ends[1], text + written, n), n);
			written += n;
			for (size_t in_pipe = n; in_pipe > 0;) {
				const ssize_t had = lines_read(&in, ends[0]);

				assert_true(had > 0);
				in_pipe -= (size_t)had;
				while ((got = lines_next(&in, &line, &len)) != LINES_NONE) {
					longer += got == LINES_LONG;
					if (got != LINES_ONE)
						continue;
					assert_int_equal(len, strlen(whole[lines]));
					assert_memory_equal(line, whole[lines], len);
					lines++;
				}
			}
		}
		assert_int_equal(lines, COUNT_OF(whole));
		assert_int_equal(longer, 2);
		assert_true(lines_rest(&in, &line, &len));
		assert_int_equal(len, 4);
		assert_memory_equal(line, "rest", len);
		assert_false(lines_rest(&in, &line, &len));
		lines_end(&in);
		close(ends[0]);
		close(ends[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_line_says),
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(among_many_keys),
		cmocka_unit_test(one_second_after_the_other),
		cmocka_unit_test(lines_of_others),
		cmocka_unit_test(torn_lines),
		cmocka_unit_test(unknown_failures),
		cmocka_unit_test(unknown_keys),
		cmocka_unit_test(the_sentence_of_the_log),
		cmocka_unit_test(every_name),
		cmocka_unit_test(every_length),
		cmocka_unit_test(every_program),
		cmocka_unit_test(deep_and_long),
		cmocka_unit_test(every_address),
		cmocka_unit_test(lines_of_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
