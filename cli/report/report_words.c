/* SPDX-License-Identifier: MIT */
/*
 * report_words.c - see report_words.h.
 */
#include "report/report_words.h"

#include <string.h>
#include <time.h>

#include "facts/endpoint.h"
#include "facts/names.h"

void out_count(struct out *out, uint64_t count)
{
	if (count >= 1000) {
		out_count(out, count / 1000);
		out_char(out, ',');
		out_padded(out, count % 1000, 3);
	} else {
		out_u64(out, count);
	}
}

void out_span(struct out *out, uint64_t ns)
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

void out_times(struct out *out, uint64_t first_ns, uint64_t last_ns)
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

/* Of a long one, how it begins and ends. */
static void out_host(struct out *out, const struct host *host)
{
	enum { MOST = 40, SIDE = 18 };

	if (host->len <= MOST) {
		out_plain(out, host->name, host->len);
		return;
	}
	out_plain(out, host->name, SIDE);
	out_str(out, "...");
	out_plain(out, host->name + host->len - SIDE, SIDE);
}

void out_name(struct out *out, const struct report *report, const char prog[16], uint64_t host)
{
	out_plain(out, prog, strnlen(prog, 16));
	if (report->host_count < 2)
		return;
	out_char(out, '@');
	out_host(out, &report->hosts[host]);
}

void out_where(struct out *out, const struct endpoint *at)
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

void out_error(struct out *out, int error)
{
	const char *name = error_name(error);

	if (name)
		out_str(out, name);
	else
		out_i64(out, error);
}

static void out_failed(struct out *out, const struct found_key *key)
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

void out_finding(struct out *out, const struct report *report, const struct found_row *row)
{
	const struct found_key *key = &row->key;

	out_name(out, report, key->prog, key->host);
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
		out_failed(out, key);
	}
	if (key->found == FOUND_STORM && row->most_ms) {
		out_str(out, ", up to ");
		out_span(out, row->most_ms * 1000000);
		out_str(out, " in one event");
	}
}

void out_path(struct out *out, const struct path_row *row)
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

void out_called(struct out *out, const struct call_row *row)
{
	out_str(out, call_name((enum call_id)row->key.call));
	if (row->key.by_shim)
		out_str(out, " (libreuse's own)");
	if (row->key.error) {
		out_char(out, ' ');
		out_error(out, row->key.error);
	}
}

void out_stay(struct out *out, int state, const struct stays *stays)
{
	out_str(out, state_name((enum tcp_state_id)state));
	out_str(out, ": on average ");
	out_span(out, stays->least_ns / stays->count);
	out_str(out, " at least, ");
	out_span(out, stays->most_ns / stays->count);
	out_str(out, " at most; the longest at least ");
	out_span(out, stays->longest_ns);
}

void out_rate(struct out *out, const struct tally *tally, const struct rate *rate, const char *name)
{
	const uint64_t seconds = (tally->last_ns - tally->first_ns) / 1000000000 + 1;

	out_str(out, name);
	out_str(out, ": ");
	out_count(out, rate->total / seconds);
	out_char(out, '.');
	out_u64(out, rate->total % seconds * 10 / seconds);
	out_str(out, " a second, at most ");
	out_count(out, rate->peak);
}

void out_listener(struct out *out, const struct report *report, const struct listener_row *row)
{
	out_name(out, report, row->key.prog, row->key.host);
	out_char(out, ' ');
	out_where(out, &row->key.at);
	if (row->backlog >= 0) {
		out_str(out, ", backlog ");
		out_i64(out, row->backlog);
	}
	out_str(out, row->listens ? "" : ", whose listen is not in these events");
}

void out_joined(struct out *out, const struct tally *tally)
{
	out_str(out, "of these are the two ends of one connection: ");
	out_count(out, tally->joined);
	if (tally->ambiguous) {
		out_str(out, "; of more than one that may be: ");
		out_count(out, tally->ambiguous);
	}
}

void out_extent(struct out *out, const struct tally *tally)
{
	out_count(out, tally->events);
	out_str(out, tally->events == 1 ? " event of " : " events of ");
	out_count(out, tally->programs.count);
	out_str(out, tally->programs.left_out	  ? " programs or more"
		     : tally->programs.count == 1 ? " program"
						  : " programs");
	if (!tally->events)
		return;
	out_str(out, ", ");
	out_times(out, tally->first_ns, tally->last_ns);
	out_str(out, ", ");
	out_span(out, tally->last_ns - tally->first_ns);
}

bool out_left_out(struct out *out, const struct report *report, unsigned int which)
{
	const struct tally *tally = &report->tally;
	const struct {
		uint64_t count;
		const char *what;
	} all[] = {
		{tally->found.left_out, "findings that are counted above all the same"},
		{tally->paths.left_out, "ends of connections, by their states"},
		{tally->calls.left_out, "calls"},
		{tally->listeners.left_out, "listeners or connections of such"},
		{report->inputs.places.left_out, "places in programs"},
		{tally->lives.left_out, "events of sockets, in what became of these"},
		{tally->lives.dropped,
		 "closed sockets, in whether they are two ends of one connection"},
		{tally->late, "sockets' states told late, out of order"},
		{report->inputs.late,
		 "lines more than a second, or 4,096 lines, out of order, in their places"},
	};

	if (which >= sizeof(all) / sizeof(all[0]))
		return false;
	if (!all[which].count)
		return true;
	out_count(out, all[which].count);
	out_char(out, ' ');
	out_str(out, all[which].what);
	return true;
}
