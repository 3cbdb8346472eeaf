/*
 * report_text.c - the text of tcpshim report: what is wrong first. It is 80 columns wide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "log/screen.h"
#include "report.h"

enum { COUNT_WIDTH = 11, TEXT_AT = COUNT_WIDTH + 2, LINES_MOST = 20 };

/* "1,204" */
static void out_count(struct out *out, uint64_t count)
{
	if (count >= 1000) {
		out_count(out, count / 1000);
		out_char(out, ',');
		out_padded(out, count % 1000, 3);
	} else {
		out_u64(out, count);
	}
}

/* In a unit of which there are some, with a tenth where there are few. */
static void out_span(struct out *out, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {{UINT64_C(86400000000000), " days"},
		     {UINT64_C(3600000000000), " h"},
		     {UINT64_C(60000000000), " min"},
		     {1000000000, " s"},
		     {1000000, " ms"},
		     {1000, " us"}};
	size_t i = 0;

	while (i + 1 < sizeof(units) / sizeof(units[0]) && ns < 2 * units[i].ns)
		i++;
	out_count(out, ns / units[i].ns);
	if (ns < 10 * units[i].ns) {
		out_char(out, '.');
		out_u64(out, ns % units[i].ns * 10 / units[i].ns);
	}
	out_str(out, units[i].name);
}

/* From the first to the last, of which the day is told where it is another. */
static void out_times(struct out *out, uint64_t first_ns, uint64_t last_ns)
{
	const time_t first = (time_t)(first_ns / 1000000000), last = (time_t)(last_ns / 1000000000);
	char text[32];
	struct tm date;

	if (gmtime_r(&first, &date) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &date))
		out_str(out, text);
	out_str(out, " to ");
	if (first / 86400 != last / 86400 && gmtime_r(&last, &date) &&
	    strftime(text, sizeof(text), "%Y-%m-%d ", &date))
		out_str(out, text);
	if (gmtime_r(&last, &date) && strftime(text, sizeof(text), "%H:%M:%S UTC", &date))
		out_str(out, text);
}

static void out_name(struct out *out, const struct report *report, const char prog[16],
		     uint64_t host)
{
	out_plain(out, prog, strnlen(prog, 16));
	if (report->host_count < 2)
		return;
	out_char(out, '@');
	out_plain(out, report->hosts[host].name, report->hosts[host].len);
}

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

/* An address without a port is a host. */
static void out_where(struct out *out, const struct endpoint *at)
{
	char text[80];
	struct out whole = out_into(text, sizeof(text));

	if (!at->family) {
		out_str(out, "an address that is not known");
		return;
	}
	out_endpoint(&whole, at);
	if (!at->port && out_len(&whole) > 2)
		whole.at -= 2;
	out_mem(out, text, out_len(&whole));
}

static void out_place(struct out *out, const struct report *report, const char *word,
		      uint32_t place)
{
	const char *name = inputs_place(&report->inputs, place);

	if (!name)
		return;
	out_str(out, word);
	out_plain(out, name, strlen(name));
}

static void out_error(struct out *out, int error)
{
	const char *name = error_name(error);

	if (name)
		out_str(out, name);
	else
		out_i64(out, error);
}

static void out_call(struct out *out, const struct found_key *key)
{
	out_str(out, call_name((enum call_id)key->call));
	out_char(out, ' ');
	if (key->at.family) {
		out_where(out, &key->at);
		out_char(out, ' ');
	}
	if (key->error)
		out_error(out, key->error);
}

static void out_close_wait(struct out *out, const struct found_row *row)
{
	switch (row->key.detail) {
	case CLOSED_LATE:
		out_str(out, ", closed after at least ");
		out_span(out, row->most_ms * 1000000);
		out_str(out, " (the longest)");
		break;
	case LEFT_AT_EXIT:
		out_str(out, ", left at its end");
		break;
	default:
		out_str(out, ", still open in the last event");
	}
}

/* Behind the program's name. */
static void out_finding(struct out *out, const struct report *report, const struct found_row *row)
{
	const struct found_key *key = &row->key;

	switch ((enum found)key->found) {
	case FOUND_LEFT:
		out_str(out, ", in ");
		out_str(out, key->state ? state_name((enum tcp_state_id)key->state)
					: "a state that is not known");
		out_place(out, report, ", made at ", key->place);
		break;
	case FOUND_CLOSE_WAIT:
		out_close_wait(out, row);
		out_place(out, report, ", made at ", key->place);
		break;
	case FOUND_DOUBLE_CLOSE:
		out_place(out, report, " at ", key->place);
		out_str(out, ", before by ");
		out_str(out, call_name((enum call_id)key->call));
		out_place(out, report, " at ", key->closed_place);
		break;
	case FOUND_RESET:
		out_str(out, key->detail == RESET_UNREAD   ? ", with bytes unread"
			     : key->detail == RESET_LINGER ? ", by SO_LINGER 0"
							   : ", by TCP_LINGER2 below 0");
		out_place(out, report, " at ", key->place);
		break;
	case FOUND_PEER_RESET:
		out_str(out, ", by ");
		if (*key->other) {
			out_name(out, report, key->other, key->host);
			out_str(out, " at ");
		}
		out_where(out, &key->at);
		out_place(out, report, ", made at ", key->place);
		break;
	case FOUND_REFUSED:
	case FOUND_TIMED_OUT:
	case FOUND_UNREACHABLE:
		out_str(out, " to ");
		out_where(out, &key->at);
		break;
	case FOUND_QUEUE_RESET:
		out_str(out, ", of ");
		out_where(out, &key->at);
		out_place(out, report, " at ", key->place);
		break;
	case FOUND_LOST:
		break;
	default:
		out_str(out, ": ");
		out_call(out, key);
	}
	if (key->found == FOUND_STORM && row->most_ms) {
		out_str(out, ", up to ");
		out_span(out, row->most_ms * 1000000);
		out_str(out, " in one event");
	}
}

static void print_finding(const struct report *report, const struct found_row *row)
{
	char text[2048];
	struct out out = out_into(text, sizeof(text));

	begin_row(&out, row->count);
	out_name(&out, report, row->key.prog, row->key.host);
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
	out_str(&out, call_name((enum call_id)row->key.call));
	if (row->key.by_shim)
		out_str(&out, " (libreuse's own)");
	if (row->key.error) {
		out_char(&out, ' ');
		out_error(&out, row->key.error);
	}
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

static void out_path(struct out *out, const struct path_row *row)
{
	static const char *const ends[] = {
		[LIFE_OPEN] = ", open", [LIFE_LEFT] = ", left", [LIFE_CLOSED] = ""};
	const struct path *path = &row->key.path;

	for (unsigned int i = 0; i < path->count; i++) {
		const bool passed = (path->state[i] & PATH_PASSED) != 0;

		out_str(out, i ? " -> " : "");
		out_str(out, passed ? "(" : "");
		out_str(out, state_name((enum tcp_state_id)(path->state[i] % PATH_PASSED)));
		out_str(out, passed ? ")" : "");
	}
	out_str(out, path->cut ? " -> ..." : "");
	out_str(out, ends[row->key.end]);
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
	out_str(&out, "  of these are the two ends of one connection: ");
	out_count(&out, tally->joined);
	if (tally->ambiguous) {
		out_str(&out, "; of more than one that may be: ");
		out_count(&out, tally->ambiguous);
	}
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
		out_str(&out, state_name((enum tcp_state_id)state));
		out_str(&out, ": on average ");
		out_span(&out, stays->least_ns / stays->count);
		out_str(&out, " at least, ");
		out_span(&out, stays->most_ns / stays->count);
		out_str(&out, " at most; the longest at least ");
		out_span(&out, stays->longest_ns);
		print_wrapped(&out, TEXT_AT);
	}
}

static void print_rate(const struct tally *tally, const struct rate *rate, const char *name)
{
	const uint64_t seconds = (tally->last_ns - tally->first_ns) / 1000000000 + 1;
	char text[256];
	struct out out = out_into(text, sizeof(text));

	if (!rate->total)
		return;
	begin_row(&out, rate->total);
	out_str(&out, name);
	out_str(&out, ": ");
	out_count(&out, rate->total / seconds);
	out_char(&out, '.');
	out_u64(&out, rate->total % seconds * 10 / seconds);
	out_str(&out, " a second, at most ");
	out_count(&out, rate->peak);
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
		out_name(&out, report, rows[i]->key.prog, rows[i]->key.host);
		out_char(&out, ' ');
		out_where(&out, &rows[i]->key.at);
		if (rows[i]->backlog >= 0) {
			out_str(&out, ", backlog ");
			out_i64(&out, rows[i]->backlog);
		}
		out_str(&out, rows[i]->listens ? "" : ", whose listen is not in these events");
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

	out_count(&out, tally->events);
	out_str(&out, tally->events == 1 ? " event of " : " events of ");
	out_count(&out, tally->programs.count);
	out_str(&out, tally->programs.left_out	   ? " programs or more"
		      : tally->programs.count == 1 ? " program"
						   : " programs");
	if (tally->events) {
		out_str(&out, ", ");
		out_times(&out, tally->first_ns, tally->last_ns);
		out_str(&out, ", ");
		out_span(&out, tally->last_ns - tally->first_ns);
	}
	print_wrapped(&out, 2);
}

static void print_left_out(uint64_t count, const char *what)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	if (!count)
		return;
	out_str(&out, "not in these tables, for want of room: ");
	out_count(&out, count);
	out_char(&out, ' ');
	out_str(&out, what);
	print_wrapped(&out, 2);
}

static void print_limits(const struct report *report)
{
	const struct tally *tally = &report->tally;

	print_left_out(tally->found.left_out, "findings that are counted above all the same");
	print_left_out(tally->paths.left_out, "ends of connections, by their states");
	print_left_out(tally->calls.left_out, "calls");
	print_left_out(tally->listeners.left_out, "listeners or connections of such");
	print_left_out(report->inputs.places.left_out, "places in programs");
	print_left_out(tally->lives.left_out, "events of sockets, in what became of these");
	print_left_out(tally->lives.dropped,
		       "closed sockets, in whether they are two ends of one connection");
	print_left_out(tally->late, "sockets' states told late, out of order");
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
