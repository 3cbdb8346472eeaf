/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - the figures of tcpshim report for programs: one object. What each key means is in
 * tcpshim(1).
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "report/report.h"

static void put_text(const char *key, const char *text, size_t len)
{
	char escaped[6 * PATH_MAX + 1]; /* a folder, of whose bytes each may be \uXXXX */
	struct out out = out_into(escaped, sizeof(escaped) - 1);

	out_json(&out, text, len);
	*out.at = '\0';
	printf(",\"%s\":\"%s\"", key, escaped);
}

static void put_word(const char *key, const char *word)
{
	if (word)
		put_text(key, word, strlen(word));
}

static void put_number(const char *key, uint64_t number)
{
	printf(",\"%s\":%" PRIu64, key, number);
}

static void put_address(const char *key, const struct endpoint *at)
{
	char text[80];
	struct out out = out_into(text, sizeof(text) - 1);

	if (!at->family)
		return;
	out_endpoint(&out, at);
	if (!at->port)
		out.at -= 2;
	put_text(key, text, out_len(&out));
}

static void put_error(int error)
{
	if (error_name(error))
		put_word("error", error_name(error));
	else if (error)
		printf(",\"error\":%d", error);
}

static void put_state(const char *key, uint8_t state)
{
	if (state)
		put_word(key, state_name((enum tcp_state_id)state));
}

static void put_time(const char *key, uint64_t ns)
{
	char text[64];
	struct tm date;
	const time_t seconds = (time_t)(ns / 1000000000);
	size_t len;

	if (!ns || !gmtime_r(&seconds, &date))
		return;
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &date);
	snprintf(text + len, sizeof(text) - len, ".%06uZ", (unsigned int)(ns / 1000 % 1000000));
	put_word(key, text);
}

static void put_host(const struct report *report, uint64_t host)
{
	put_text("host", report->hosts[host].name, report->hosts[host].len);
}

static void put_detail(const struct found_row *row)
{
	static const char *const ends[] = {
		[CLOSED_LATE] = "closed-late", [LEFT_AT_EXIT] = "left", [OPEN_AT_THE_END] = "open"};

	switch ((enum found)row->key.found) {
	case FOUND_LEFT:
		put_state("state", row->key.state);
		break;
	case FOUND_CLOSE_WAIT:
		put_word("end", ends[row->key.detail]);
		if (row->key.detail == CLOSED_LATE)
			put_number("at_least_ms", row->most_ms);
		break;
	case FOUND_RESET:
		put_word("cause", report_reset_cause(row->key.detail));
		break;
	case FOUND_STORM:
		put_number("over_ms", row->most_ms);
		break;
	default:
		break;
	}
}

static void put_finding(const struct report *report, const struct found_row *row)
{
	const struct found_key *key = &row->key;
	const bool names_call = key->found == FOUND_BIND || key->found == FOUND_STORM ||
				key->found == FOUND_DESCRIPTORS || key->found == FOUND_BACKLOG;

	printf("{\"count\":%" PRIu64, row->count);
	put_host(report, key->host);
	put_text("prog", key->prog, strnlen(key->prog, sizeof(key->prog)));
	if (names_call)
		put_word("call", call_name((enum call_id)key->call));
	if (key->found == FOUND_DOUBLE_CLOSE)
		put_word("by_call", call_name((enum call_id)key->call));
	put_error(key->error);
	put_address("address", &key->at);
	if (*key->other)
		put_text("by_prog", key->other, strnlen(key->other, sizeof(key->other)));
	put_detail(row);
	put_word("place", inputs_place(&report->inputs, key->place));
	put_word("closed_at", inputs_place(&report->inputs, key->closed_place));
	if (*row->said)
		put_word("text", row->said);
	putchar('}');
}

static void put_findings(const struct report *report)
{
	const struct tally *tally = &report->tally;
	const struct found_row **rows =
		(const struct found_row **)tally_sorted(&tally->found, tally_by_finding);
	size_t at = 0;

	printf(",\n\"wrong\":{");
	for (int kind = 0; kind < FOUND_COUNT; kind++) {
		printf("%s\n\"%s\":{\"count\":%" PRIu64 ",\"rows\":[", kind ? "," : "",
		       report_found_key((enum found)kind), tally->found_of[kind]);
		for (size_t first = at;
		     rows && at < tally->found.count && rows[at]->key.found == kind; at++) {
			printf("%s\n", at > first ? "," : "");
			put_finding(report, rows[at]);
		}
		printf("]}");
	}
	putchar('}');
	free(rows);
}

static void put_calls(const struct tally *tally)
{
	const struct call_row **rows =
		(const struct call_row **)tally_sorted(&tally->calls, tally_by_call);

	printf(",\n\"calls\":[");
	for (size_t i = 0; rows && i < tally->calls.count; i++) {
		printf("%s\n{\"count\":%" PRIu64, i ? "," : "", rows[i]->count);
		put_word("call", call_name((enum call_id)rows[i]->key.call));
		if (rows[i]->key.by_shim)
			put_word("by", "shim");
		put_error(rows[i]->key.error);
		put_number("longest_ns", rows[i]->longest_ns);
		putchar('}');
	}
	putchar(']');
	free(rows);
}

static void put_path(const struct path_row *row)
{
	static const char *const ends[] = {
		[LIFE_OPEN] = "open", [LIFE_LEFT] = "left", [LIFE_CLOSED] = "closed"};
	const struct path *path = &row->key.path;

	printf("{\"count\":%" PRIu64 ",\"states\":[", row->count);
	for (unsigned int i = 0; i < path->count; i++)
		printf("%s\"%s\"", i ? "," : "",
		       state_name((enum tcp_state_id)(path->state[i] % PATH_PASSED)));
	printf("],\"seen\":[");
	for (unsigned int i = 0; i < path->count; i++)
		printf("%s%d", i ? "," : "", !(path->state[i] & PATH_PASSED));
	putchar(']');
	if (path->cut)
		printf(",\"cut\":true");
	put_word("end", ends[row->key.end]);
	putchar('}');
}

static void put_paths(const struct tally *tally)
{
	const struct path_row **rows =
		(const struct path_row **)tally_sorted(&tally->paths, tally_by_path);

	printf(",\n\"connections\":{\"ends\":%" PRIu64, tally->connections);
	put_number("joined", tally->joined);
	put_number("ambiguous", tally->ambiguous);
	printf(",\"paths\":[");
	for (size_t i = 0; rows && i < tally->paths.count; i++) {
		printf("%s\n", i ? "," : "");
		put_path(rows[i]);
	}
	printf("]}");
	free(rows);
}

static void put_stays(const struct tally *tally)
{
	const char *comma = "";

	printf(",\n\"states\":[");
	for (int state = STATE_UNKNOWN + 1; state < STATE_COUNT; state++) {
		const struct stays *stays = &tally->stays[state];

		if (!stays->count)
			continue;
		printf("%s\n{\"count\":%" PRIu64, comma, stays->count);
		comma = ",";
		put_state("state", (uint8_t)state);
		put_number("at_least_ns", stays->least_ns);
		put_number("at_most_ns", stays->most_ns);
		put_number("longest_at_least_ns", stays->longest_ns);
		putchar('}');
	}
	putchar(']');
}

static void put_rate(const char *key, const struct rate *rate)
{
	printf(",\n\"%s\":{\"count\":%" PRIu64, key, rate->total);
	put_number("most_in_a_second", rate->peak);
	putchar('}');
}

static void put_listeners(const struct report *report)
{
	const struct tally *tally = &report->tally;
	const struct listener_row **rows =
		(const struct listener_row **)tally_sorted(&tally->listeners, tally_by_listener);

	printf(",\n\"listeners\":[");
	for (size_t i = 0; rows && i < tally->listeners.count; i++) {
		printf("%s\n{\"accepted\":%" PRIu64, i ? "," : "", rows[i]->accepted);
		put_host(report, rows[i]->key.host);
		put_text("prog", rows[i]->key.prog, strnlen(rows[i]->key.prog, 16));
		put_address("address", &rows[i]->key.at);
		put_number("listens", rows[i]->listens);
		if (rows[i]->backlog >= 0)
			put_number("backlog", (uint64_t)rows[i]->backlog);
		putchar('}');
	}
	putchar(']');
	free(rows);
}

static void put_open(const struct tally *tally)
{
	const char *comma = "";

	printf(",\n\"open\":{");
	for (int state = STATE_UNKNOWN; state < STATE_COUNT; state++) {
		if (!tally->open[state])
			continue;
		printf("%s\"%s\":%" PRIu64, comma,
		       state ? state_name((enum tcp_state_id)state) : "unknown",
		       tally->open[state]);
		comma = ",";
	}
	putchar('}');
}

static void put_left_out(const struct report *report)
{
	const struct tally *tally = &report->tally;

	printf(",\n\"left_out\":{\"findings\":%" PRIu64, tally->found.left_out);
	put_number("paths", tally->paths.left_out);
	put_number("calls", tally->calls.left_out);
	put_number("listeners", tally->listeners.left_out);
	put_number("programs", tally->programs.left_out);
	put_number("places", report->inputs.places.left_out);
	put_number("events_of_sockets", tally->lives.left_out);
	put_number("closed_sockets", tally->lives.dropped);
	put_number("late", tally->late);
	put_number("late_lines", report->inputs.late);
	printf("}");
}

void report_json(const struct report *report)
{
	const struct tally *tally = &report->tally;

	printf("{\"v\":1");
	put_number("events", tally->events);
	put_number("programs", tally->programs.count);
	put_number("all_calls", tally->all_calls);
	put_number("failed_calls", tally->failed_calls);
	put_time("first", tally->first_ns);
	put_time("last", tally->last_ns);
	put_findings(report);
	put_calls(tally);
	put_paths(tally);
	put_stays(tally);
	put_rate("accepts", &tally->accepts);
	put_rate("connects", &tally->connects);
	put_listeners(report);
	put_open(tally);
	put_left_out(report);
	puts("}");
}
