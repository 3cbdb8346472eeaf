/* SPDX-License-Identifier: MIT */
/*
 * report_text.c - the text of tcpshim report: what is wrong first. It is 80 columns wide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts/names.h"
#include "log/screen.h"
#include "report/report_words.h"

enum { COUNT_WIDTH = 11, TEXT_AT = COUNT_WIDTH + 2, LINES_MOST = 20 };

static void print_wrapped(struct out *out, size_t indent)
{
	static const struct text_style style = {.width = 80};
	struct line line = line_begin(out, &style);

	line.start = out->start;
	line_wrap(&line, indent);
	fwrite(out->start, 1, out_len(out), stdout);
	putchar('\n');
}

static void begin_row(struct out *out, uint64_t count)
{
	char digits[32];
	struct out number = out_into(digits, sizeof(digits));

	out_count(&number, count);
	for (size_t i = out_len(&number); i < COUNT_WIDTH; i++)
		out_char(out, ' ');
	out_mem(out, digits, out_len(&number));
	out_str(out, "  ");
}

static void print_finding(const struct report *report, const struct found_row *row)
{
	char text[2048];
	struct out out = out_into(text, sizeof(text));

	begin_row(&out, row->count);
	out_finding(&out, report, row);
	print_wrapped(&out, TEXT_AT);
	if (!*row->said)
		return;
	out = out_into(text, sizeof(text));
	out_str(&out, "             ");
	out_plain(&out, row->said, strlen(row->said));
	print_wrapped(&out, TEXT_AT);
}

static void print_more(size_t rows)
{
	if (rows)
		printf("%*s  and %zu more such line%s: --json has them\n", COUNT_WIDTH, "", rows,
		       rows == 1 ? "" : "s");
}

static void print_heading(const char *name, uint64_t count)
{
	char text[160];
	struct out out = out_into(text, sizeof(text) - 1);

	out_char(&out, '\n');
	out_str(&out, name);
	if (count) {
		out_str(&out, ": ");
		out_count(&out, count);
	}
	*out.at = '\0';
	puts(text);
}

static void print_findings(const struct report *report)
{
	const struct tally *tally = &report->tally;
	const struct found_row **rows =
		(const struct found_row **)tally_sorted(&tally->found, tally_by_finding);
	size_t in_kind = 0;
	int kind = FOUND_COUNT;

	if (!tally_is_wrong(tally))
		puts("Nothing wrong was found.");
	for (size_t i = 0; rows && i < tally->found.count; i++) {
		if (rows[i]->key.found != kind) {
			print_more(in_kind > LINES_MOST ? in_kind - LINES_MOST : 0);
			in_kind = 0;
			kind = rows[i]->key.found;
			print_heading(report_found_name((enum found)kind), tally->found_of[kind]);
		}
		if (++in_kind <= LINES_MOST)
			print_finding(report, rows[i]);
	}
	print_more(in_kind > LINES_MOST ? in_kind - LINES_MOST : 0);
	free(rows);
}

static void print_call(const struct call_row *row)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	begin_row(&out, row->count);
	out_called(&out, row);
	out_column(&out, 50);
	out_str(&out, "the longest took ");
	out_span(&out, row->longest_ns);
	print_wrapped(&out, TEXT_AT);
}

static void print_calls(const struct tally *tally)
{
	const struct call_row **rows =
		(const struct call_row **)tally_sorted(&tally->calls, tally_by_call);

	print_heading("calls and errors", tally->all_calls);
	for (size_t i = 0; rows && i < tally->calls.count; i++)
		print_call(rows[i]);
	free(rows);
}

static void print_paths(const struct tally *tally)
{
	const struct path_row **rows =
		(const struct path_row **)tally_sorted(&tally->paths, tally_by_path);
	char text[512];

	if (tally->connections)
		print_heading("ends of connections by the states they passed", tally->connections);
	for (size_t i = 0; rows && i < tally->paths.count && i < LINES_MOST; i++) {
		struct out out = out_into(text, sizeof(text));

		begin_row(&out, rows[i]->count);
		out_path(&out, rows[i]);
		print_wrapped(&out, TEXT_AT);
	}
	print_more(tally->paths.count > LINES_MOST ? tally->paths.count - LINES_MOST : 0);
	free(rows);
}

static void print_joined(const struct tally *tally)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	if (!tally->connections)
		return;
	out_str(&out, "  ");
	out_joined(&out, tally);
	print_wrapped(&out, 2);
}

static void print_stays(const struct tally *tally)
{
	char text[256];

	print_heading("time in states, as the calls tell it", 0);
	for (int state = STATE_LISTEN; state < STATE_COUNT; state++) {
		const struct stays *stays = &tally->stays[state];
		struct out out = out_into(text, sizeof(text));

		if (!stays->count)
			continue;
		begin_row(&out, stays->count);
		out_stay(&out, state, stays);
		print_wrapped(&out, TEXT_AT);
	}
}

static void print_rate(const struct tally *tally, const struct rate *rate, const char *name)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	if (!rate->total)
		return;
	begin_row(&out, rate->total);
	out_rate(&out, tally, rate, name);
	print_wrapped(&out, TEXT_AT);
}

static void print_listeners(const struct report *report)
{
	const struct tally *tally = &report->tally;
	const struct listener_row **rows =
		(const struct listener_row **)tally_sorted(&tally->listeners, tally_by_listener);
	char text[256];

	if (rows)
		print_heading("listeners, by the connections that they accepted", 0);
	for (size_t i = 0; rows && i < tally->listeners.count && i < LINES_MOST; i++) {
		struct out out = out_into(text, sizeof(text));

		begin_row(&out, rows[i]->accepted);
		out_listener(&out, report, rows[i]);
		print_wrapped(&out, TEXT_AT);
	}
	print_more(rows && tally->listeners.count > LINES_MOST ? tally->listeners.count - LINES_MOST
							       : 0);
	free(rows);
}

static void print_open(const struct tally *tally)
{
	bool any = false;

	for (int state = STATE_UNKNOWN; state < STATE_COUNT; state++) {
		char text[128];
		struct out out = out_into(text, sizeof(text));

		if (!tally->open[state])
			continue;
		if (!any)
			print_heading("sockets not closed in these events", 0);
		any = true;
		begin_row(&out, tally->open[state]);
		out_str(&out, state ? state_name((enum tcp_state_id)state)
				    : "in a state that is not known");
		print_wrapped(&out, TEXT_AT);
	}
}

static void print_first(const struct tally *tally)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	out_extent(&out, tally);
	print_wrapped(&out, 2);
}

static void print_limits(const struct report *report)
{
	static const char begin[] = "not in these tables, for want of room: ";
	char text[256];
	struct out out;

	for (unsigned int which = 0;; which++) {
		out = out_into(text, sizeof(text));
		out_str(&out, begin);
		if (!out_left_out(&out, report, which))
			return;
		if (out_len(&out) > strlen(begin))
			print_wrapped(&out, 2);
	}
}

void report_text(const struct report *report)
{
	const struct tally *tally = &report->tally;

	print_first(tally);
	print_findings(report);
	print_calls(tally);
	print_paths(tally);
	print_joined(tally);
	print_stays(tally);
	if (tally->accepts.total || tally->connects.total)
		print_heading("rates", 0);
	print_rate(tally, &tally->accepts, "accepts");
	print_rate(tally, &tally->connects, "connects");
	print_listeners(report);
	print_open(tally);
	putchar('\n');
	print_limits(report);
}
