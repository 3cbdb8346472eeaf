/* SPDX-License-Identifier: MIT */
/*
 * report_html.c - see report_html.h. What is most important comes first and has room kept for it:
 * what follows gets what is left.
 */
#include "report/report_html.h"

#include <stdlib.h>
#include <string.h>

#include "facts/names.h"
#include "report/diagram.h"
#include "report/report_words.h"
#include "report/timeline.h"

enum {
	PAGE_MOST = 1900000,
	KEPT_FOR_END = 8000,
	KEPT_FOR_LADDERS = 800000,
	KEPT_FOR_TIMELINES = KEPT_FOR_LADDERS + 400000,
	ROWS_MOST = 50, /* of a table */
	TIMELINES_MOST = 24,
};

static const char head[] =
	"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
	"<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
	"<meta http-equiv=Content-Security-Policy "
	"content=\"default-src 'none';img-src data:;style-src 'unsafe-inline'\">\n"
	"<title>tcpshim report</title>\n<style>\n"
	":root{color-scheme:light "
	"dark;--f:#222;--b:#fff;--m:#666;--l:#ddd;--e:#b3261e;--a:#1769aa}\n"
	"@media(prefers-color-scheme:dark){:root{--f:#e6e6e6;--b:#181a1b;--m:#aaa;--l:#3a3d3f;"
	"--e:#ff8a80;--a:#6db3f2}}\n"
	"body{font:15px/1.45 system-ui,sans-serif;color:var(--f);background:var(--b);"
	"max-width:60em;margin:0 auto;padding:1em}\n"
	"h1{font-size:1.4em}h2{font-size:1.2em;border-bottom:1px solid var(--l);margin-top:2em}"
	"h3{font-size:1em;margin:1.5em 0 .3em;overflow-wrap:anywhere}\n"
	"table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
	"padding:.2em .5em;border-bottom:1px solid var(--l);overflow-wrap:anywhere}\n"
	".t td:first-child{text-align:right;width:5em;font-variant-numeric:tabular-nums;"
	"white-space:nowrap;overflow-wrap:normal}\n"
	".l td:first-child{white-space:nowrap;overflow-wrap:normal;width:5.5em;"
	"font-variant-numeric:tabular-nums}.l{table-layout:fixed}.l th:first-child{width:5.5em}\n"
	".l b{font-weight:600}.l i{font-style:normal;color:var(--a);font-size:.9em}"
	".l u{text-decoration:none;color:var(--m);font-size:.9em}small,.m{color:var(--m)}"
	".e{color:var(--e)}\n"
	".w{overflow-x:auto}.w img{min-width:640px;width:100%}img{max-width:100%;height:auto}"
	"a{color:var(--a)}nav a{margin-right:1em}\n"
	"@media(max-width:600px){body{font-size:14px;padding:.6em}td,th{padding:.2em .3em}"
	".l td:first-child,.l th:first-child{width:4.4em}.t td:first-child{width:3em}}\n"
	"@media print{:root{--f:#000;--b:#fff;--m:#444;--l:#bbb;--e:#900;--a:#024}"
	"body{max-width:none}nav{display:none}section,tr{break-inside:avoid}.w{overflow:visible}"
	".w img{min-width:0}}\n"
	"</style>\n";

struct making {
	struct html page;
	const struct report *report;
	struct story *story;
	const struct ladder *ladders[LADDERS_MOST];
	size_t ladder_count;
};

static void write_heading(struct making *making, const char *id, const char *text)
{
	FILE *part = html_part(&making->page);

	if (!part)
		return;
	fprintf(part, "<h2 id=%s>%s</h2>\n", id, text);
	html_end_part(&making->page, 0);
}

/* One that is made of fixed words and numbers. */
static void write_plain(struct making *making, const char *text)
{
	FILE *part = html_part(&making->page);

	if (!part)
		return;
	fputs(text, part);
	html_end_part(&making->page, 0);
}

static void write_words(struct making *making, const char *before, const struct out *words)
{
	FILE *part = html_part(&making->page);

	if (!part)
		return;
	fputs(before, part);
	html_out(part, words);
	putc('\n', part);
	html_end_part(&making->page, 0);
}

static void write_more(struct making *making, uint64_t count, const char *what)
{
	char text[160];
	struct out out = out_into(text, sizeof(text));

	if (!count)
		return;
	out_str(&out, "and ");
	out_count(&out, count);
	out_str(&out, " more ");
	out_str(&out, what);
	write_words(making, "<p class=m>", &out);
}

static void write_first(struct making *making)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	out_extent(&out, &making->report->tally);
	write_plain(making, head);
	write_words(making, "<h1>tcpshim report</h1>\n<p>", &out);
	write_plain(making, "<nav><a href=#wrong>What is wrong</a> <a href=#states>States</a> "
			    "<a href=#calls>Calls</a> <a href=#ends>Connections</a> "
			    "<a href=#listeners>Listeners</a> <a href=#processes>Processes</a> "
			    "<a href=#ladders>One by one</a></nav>\n");
}

/* A row of a table: a count, and words. False where there is no room. */
static bool write_row(struct making *making, uint64_t count, const struct out *words,
		      const char *said)
{
	FILE *part = html_part(&making->page);
	char text[2048];
	struct out out = out_into(text, sizeof(text));

	if (!part)
		return false;
	out_count(&out, count);
	fputs("<tr><td>", part);
	html_out(part, &out);
	fputs("<td>", part);
	html_out(part, words);
	if (*said) {
		out = out_into(text, sizeof(text));
		out_plain(&out, said, strlen(said));
		fputs("<br><small>", part);
		html_out(part, &out);
		fputs("</small>", part);
	}
	putc('\n', part);
	return html_end_part(&making->page, KEPT_FOR_TIMELINES);
}

static void write_kind(struct making *making, const struct found_row *const *rows, size_t count)
{
	const enum found kind = (enum found)rows[0]->key.found;
	char text[2048];
	struct out out = out_into(text, sizeof(text));
	size_t shown = 0;

	out_str(&out, report_found_name(kind));
	out_str(&out, ": ");
	out_count(&out, making->report->tally.found_of[kind]);
	write_words(making, "<h3>", &out);
	write_plain(making, "</h3><table class=t>\n");
	for (; shown < count && shown < ROWS_MOST; shown++) {
		out = out_into(text, sizeof(text));
		out_finding(&out, making->report, rows[shown]);
		if (!write_row(making, rows[shown]->count, &out, rows[shown]->said))
			break;
	}
	write_plain(making, "</table>\n");
	write_more(making, count - shown, "such lines: --json has them");
}

static void write_wrong(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	const struct found_row **rows =
		(const struct found_row **)tally_sorted(&tally->found, tally_by_finding);
	size_t next;

	write_heading(making, "wrong", "What is wrong");
	if (!tally_is_wrong(tally))
		write_plain(making, "<p>Nothing wrong was found.\n");
	for (size_t i = 0; rows && i < tally->found.count; i = next) {
		for (next = i + 1; next < tally->found.count; next++)
			if (rows[next]->key.found != rows[i]->key.found)
				break;
		write_kind(making, rows + i, next - i);
	}
	free(rows);
}

static void write_diagram(struct making *making)
{
	char *svg = NULL, *words = malloc(1 << 16);
	size_t size = 0;
	FILE *picture = words ? open_memstream(&svg, &size) : NULL;
	FILE *part;

	if (picture) {
		struct out alt = out_into(words, 1 << 16);

		diagram_write(picture, &making->story->ways);
		fclose(picture);
		diagram_say(&alt, &making->story->ways);
		if ((part = html_part(&making->page))) {
			fputs("<p>", part);
			html_image(part, svg, size, &alt);
			putc('\n', part);
			html_end_part(&making->page, 0);
		}
	}
	making->page.failed |= !picture;
	free(svg);
	free(words);
}

static void write_ways(struct making *making)
{
	const struct ways *ways = &making->story->ways;
	char text[512];

	write_heading(making, "states", "The states, and the ways taken");
	write_plain(
		making,
		"<p>RFC 9293's state diagram: how many sockets were seen to go each way. A "
		"connection that was accepted begins in LISTEN here. <em>Cut off</em>: to CLOSED "
		"where the figure has no such way, by a reset or by what was not seen. Nobody "
		"sees the end of TIME_WAIT.\n");
	write_diagram(making);
	write_plain(making, "<table class=t>\n");
	for (uint8_t from = 0; from < STATE_COUNT; from++)
		for (uint8_t to = 0; to < STATE_COUNT; to++) {
			struct out out = out_into(text, sizeof(text));

			if (!ways->of[from][to])
				continue;
			diagram_say_way(&out, ways, from, to);
			write_row(making, ways->of[from][to], &out, "");
		}
	write_plain(making, "</table>\n");
}

static void write_stays(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	char text[256];

	write_plain(making,
		    "<h3>time in states, as the calls tell it</h3>\n"
		    "<p class=m>The arrival of a FIN makes no event: so there are two bounds.\n"
		    "<table class=t>\n");
	for (int state = STATE_LISTEN; state < STATE_COUNT; state++) {
		struct out out = out_into(text, sizeof(text));

		if (!tally->stays[state].count)
			continue;
		out_stay(&out, state, &tally->stays[state]);
		write_row(making, tally->stays[state].count, &out, "");
	}
	write_plain(making, "</table>\n");
}

static void write_calls(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	const struct call_row **rows =
		(const struct call_row **)tally_sorted(&tally->calls, tally_by_call);
	char text[256];
	size_t shown = 0;

	write_heading(making, "calls", "Calls and errors");
	write_plain(making, "<table class=t>\n");
	for (; rows && shown < tally->calls.count; shown++) {
		struct out out = out_into(text, sizeof(text));

		out_called(&out, rows[shown]);
		out_str(&out, ", the longest took ");
		out_span(&out, rows[shown]->longest_ns);
		if (!write_row(making, rows[shown]->count, &out, ""))
			break;
	}
	write_plain(making, "</table>\n");
	write_more(making, tally->calls.count - shown, "such lines: --json has them");
	free(rows);
}

static void write_rate(struct making *making, const struct rate *rate, const char *name)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	if (!rate->total)
		return;
	out_rate(&out, &making->report->tally, rate, name);
	write_row(making, rate->total, &out, "");
}

static void write_paths(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	const struct path_row **rows =
		(const struct path_row **)tally_sorted(&tally->paths, tally_by_path);
	char text[512];
	struct out out = out_into(text, sizeof(text));
	size_t shown = 0;

	write_heading(making, "ends", "Connections");
	out_str(&out, "Ends of connections by the states they passed: ");
	out_count(&out, tally->connections);
	out_str(&out, "; ");
	out_joined(&out, tally);
	write_words(making, "<p>", &out);
	write_plain(making, "<table class=t>\n");
	for (; rows && shown < tally->paths.count && shown < ROWS_MOST; shown++) {
		out = out_into(text, sizeof(text));
		out_path(&out, rows[shown]);
		if (!write_row(making, rows[shown]->count, &out, ""))
			break;
	}
	write_plain(making, "</table>\n");
	write_more(making, tally->paths.count - shown, "such lines: --json has them");
	free(rows);
	write_stays(making);
}

static void write_open(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	char text[128];
	bool any = false;

	for (int state = STATE_UNKNOWN; state < STATE_COUNT; state++) {
		struct out out = out_into(text, sizeof(text));

		if (!tally->open[state])
			continue;
		write_plain(making, any ? ""
					: "<h3>sockets not closed in these events</h3>"
					  "<table class=t>\n");
		any = true;
		out_str(&out, state ? state_name((enum tcp_state_id)state)
				    : "in a state that is not known");
		write_row(making, tally->open[state], &out, "");
	}
	write_plain(making, any ? "</table>\n" : "");
}

static void write_listeners(struct making *making)
{
	const struct tally *tally = &making->report->tally;
	const struct listener_row **rows =
		(const struct listener_row **)tally_sorted(&tally->listeners, tally_by_listener);
	char text[512];
	size_t shown = 0;

	write_heading(making, "listeners", "Listeners, by the connections that they accepted");
	write_plain(making, "<table class=t>\n");
	for (; rows && shown < tally->listeners.count && shown < ROWS_MOST; shown++) {
		struct out out = out_into(text, sizeof(text));

		out_listener(&out, making->report, rows[shown]);
		if (!write_row(making, rows[shown]->accepted, &out, ""))
			break;
	}
	write_plain(making, "</table>\n");
	write_more(making, tally->listeners.count - shown, "such lines: --json has them");
	free(rows);
	write_plain(making, "<h3>rates</h3><table class=t>\n");
	write_rate(making, &tally->accepts, "accepts");
	write_rate(making, &tally->connects, "connects");
	write_plain(making, "</table>\n");
	write_open(making);
}

/* Those with the most failures first, then those with the most events. */
static int by_trouble(const void *a, const void *b)
{
	const struct process_row *x = *(const struct process_row *const *)a;
	const struct process_row *y = *(const struct process_row *const *)b;

	if (x->failed != y->failed)
		return x->failed < y->failed ? 1 : -1;
	if (x->events != y->events)
		return x->events < y->events ? 1 : -1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static void out_process(struct out *out, const struct report *report, const struct process_row *row)
{
	out_name(out, report, row->key.prog, row->key.host);
	out_str(out, " [");
	out_u64(out, row->key.pid);
	out_str(out, "]: ");
	out_count(out, row->events);
	out_str(out, row->events == 1 ? " event, " : " events, ");
	out_count(out, row->failed);
	out_str(out, " failed; ");
	out_times(out, row->first_ns, row->last_ns);
}

static bool write_process(struct making *making, const struct process_row *row)
{
	const struct strand *lanes[TIMELINE_LANES];
	const size_t count = timeline_lanes(row, making->ladders, making->ladder_count, lanes);
	char text[512], *svg = NULL;
	struct out out = out_into(text, sizeof(text));
	size_t size = 0;
	FILE *picture = open_memstream(&svg, &size), *part = html_part(&making->page);
	bool fits = false;

	if (picture) {
		timeline_write(picture, row, lanes, count);
		fclose(picture);
	}
	if (part) {
		out_process(&out, making->report, row);
		fputs("<section><h3>", part);
		html_out(part, &out);
		fputs("</h3><div class=w>", part);
		out_str(&out, ". Its events over time, and the states of its sockets: as in the "
			      "tables below.");
		html_image(part, svg, size, &out);
		fputs("</div></section>\n", part);
		fits = html_end_part(&making->page, KEPT_FOR_LADDERS);
	}
	making->page.failed |= !picture || !part;
	free(svg);
	return fits;
}

static void write_processes(struct making *making)
{
	const struct table *table = &making->story->processes;
	const struct process_row **rows =
		(const struct process_row **)tally_sorted(table, by_trouble);
	size_t shown = 0;

	write_heading(making, "processes", "Processes");
	write_plain(
		making,
		"<p>Columns: events, in red those that failed. A bar a socket: full as long as "
		"the events prove the state, pale as long as it may have lasted; a short mark "
		"above is a state that was passed; dashed is what the kernel keeps of it, by its "
		"timer. A line across a bar is a call, in red one that failed. Of the sockets, "
		"those whose connections are told below.\n");
	for (; rows && shown < table->count && shown < TIMELINES_MOST; shown++)
		if (!write_process(making, rows[shown]))
			break;
	write_more(making, table->count - shown + table->left_out, "processes, not drawn");
	free(rows);
}

static void write_ladders(struct making *making)
{
	size_t shown = 0;
	uint64_t seen = 0;

	write_heading(making, "ladders", "One by one");
	write_plain(making,
		    "<p>Connections that failed, were reset, were left open, and then those that "
		    "lasted longest. Below each call: the states; those in parentheses were passed "
		    "at a time that is not known.\n");
	for (; shown < making->ladder_count; shown++) {
		FILE *part = html_part(&making->page);

		if (!part)
			break;
		report_ladder(part, making->report, making->ladders[shown], shown + 1);
		if (!html_end_part(&making->page, KEPT_FOR_END))
			break;
	}
	for (int kind = 0; kind < LADDER_KINDS; kind++)
		seen += making->story->seen[kind];
	write_more(making, seen - shown, "connections and sockets, not told one by one");
}

static void write_left_out(struct making *making)
{
	static const char begin[] = "Not in these tables, for want of room: ";
	char text[256];
	struct out out = out_into(text, sizeof(text));

	for (unsigned int which = 0;; which++) {
		out = out_into(text, sizeof(text));
		out_str(&out, begin);
		if (!out_left_out(&out, making->report, which))
			break;
		if (out_len(&out) > strlen(begin))
			write_words(making, "<p class=m>", &out);
	}
	write_more(making, making->story->steps_left_out, "events, not kept for the last table");
	write_more(making, making->story->arrows_left_out, "ways, not in the diagram");
}

bool report_html(FILE *out, const struct report *report, struct story *story)
{
	struct making making = {.report = report, .story = story};

	html_begin(&making.page, out, PAGE_MOST);
	making.ladder_count = story_ladders(story, making.ladders);
	write_first(&making);
	write_wrong(&making);
	write_ways(&making);
	write_calls(&making);
	write_paths(&making);
	write_listeners(&making);
	write_processes(&making);
	write_ladders(&making);
	write_left_out(&making);
	return !making.page.failed;
}
