/* SPDX-License-Identifier: MIT */
/*
 * report_ladder.c - a connection of a page of tcpshim report: a row an event, at the left who
 * connected, at the right who accepted. It reads as text, too.
 */
#include <stdlib.h>
#include <string.h>

#include "facts/names.h"
#include "report/report_html.h"
#include "report/report_words.h"

/* A step, and at which end. */
struct rung {
	const struct step *step;
	size_t end;
	uint32_t number; /* among the end's */
};

static const char *const kinds[] = {[LADDER_FAILED] = "failed",
				    [LADDER_RESET] = "reset",
				    [LADDER_LEAKED] = "left open",
				    [LADDER_SLOW] = "nothing wrong",
				    [LADDER_OTHER] = "no connection"};

static void out_end(struct out *out, const struct report *report, const struct strand *end)
{
	out_name(out, report, end->prog, end->host);
	out_str(out, " [");
	out_i64(out, end->pid);
	out_char(out, ']');
}

static int by_time(const void *a, const void *b)
{
	const struct rung *x = a, *y = b;

	if (x->step->time_ns != y->step->time_ns)
		return x->step->time_ns < y->step->time_ns ? -1 : 1;
	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static size_t merge(const struct ladder *ladder, struct rung *ret)
{
	size_t count = 0;

	for (size_t end = 0; end < 2; end++)
		for (uint32_t i = 0; ladder->ends[end] && i < ladder->ends[end]->count; i++)
			ret[count++] = (struct rung){&ladder->ends[end]->steps[i], end, i};
	qsort(ret, count, sizeof(*ret), by_time);
	return count;
}

/* "close(4) = -1 EBADF" */
static void step_words(struct out *out, const struct step *step)
{
	out_str(out, call_name((enum call_id)step->call));
	if (step->has_fd) {
		out_char(out, '(');
		out_i64(out, step->fd);
		out_char(out, ')');
	}
	if (step->has_ret) {
		out_str(out, " = ");
		out_i64(out, step->ret);
	}
	if (step->error) {
		out_char(out, ' ');
		out_error(out, step->error);
	}
	if (step->by_shim)
		out_str(out, " (libreuse's own)");
	if (step->times > 1) {
		out_str(out, ", ");
		out_count(out, step->times);
		out_str(out, " times");
	}
	if (step->dur_ns >= 1000000) {
		out_str(out, ", took ");
		out_span(out, step->dur_ns);
	}
}

/* The state that it was in before is not said again where nothing has changed. */
static void out_states(struct out *out, const struct step *step)
{
	const char *before = "";

	if (step->was && step->was != step->state) {
		out_str(out, state_name((enum tcp_state_id)step->was));
		before = " -> ";
	}
	for (unsigned int i = 0; i < step->n_via; i++) {
		out_str(out, before);
		out_char(out, '(');
		out_str(out, state_name((enum tcp_state_id)step->via[i]));
		out_char(out, ')');
		before = " -> ";
	}
	if (step->state) {
		out_str(out, before);
		out_str(out, state_name((enum tcp_state_id)step->state));
	}
	if (step->has_timer) {
		out_str(out, ", for ");
		out_span(out, step->timer_ms * UINT64_C(1000000));
		out_str(out, " more at most");
	}
}

static void write_step(FILE *part, const struct step *step)
{
	char text[512];
	struct out out = out_into(text, sizeof(text));

	step_words(&out, step);
	fputs(step->error ? "<b class=e>" : "<b>", part);
	html_out(part, &out);
	fputs("</b>", part);
	out = out_into(text, sizeof(text));
	out_states(&out, step);
	if (out_len(&out)) {
		fputs("<br><i>", part);
		html_out(part, &out);
		fputs("</i>", part);
	}
	for (uint64_t left = step->notes; left; left &= left - 1)
		fprintf(part, "<br><u>%s</u>", note_code((enum note_id)__builtin_ctzll(left)));
}

static void write_time(FILE *part, uint64_t since_ns, uint64_t between_ns)
{
	char text[96];
	struct out out = out_into(text, sizeof(text));

	if (since_ns)
		out_span(&out, since_ns);
	else
		out_char(&out, '0');
	fputs("<tr><td>", part);
	html_out(part, &out);
	if (since_ns) {
		out = out_into(text, sizeof(text));
		out_str(&out, "+");
		out_span(&out, between_ns);
		fputs("<br><small>", part);
		html_out(part, &out);
		fputs("</small>", part);
	}
	fputs("<td>", part);
}

static void write_rungs(FILE *part, const struct rung *rungs, size_t count)
{
	enum { LAST = 20, FIRST = LADDER_STEPS_MOST - LAST };
	uint64_t before = count ? rungs[0].step->time_ns : 0;

	for (size_t i = 0; i < count; i++) {
		const struct step *step = rungs[i].step;

		if (count > LADDER_STEPS_MOST && i == FIRST) {
			i = count - LAST - 1;
			fputs("<tr><td>...<td><td>\n", part);
			continue;
		}
		write_time(part, step->time_ns - rungs[0].step->time_ns, step->time_ns - before);
		fputs(rungs[i].end ? "<td>" : "", part);
		write_step(part, step);
		fputs(rungs[i].end ? "\n" : "<td>\n", part);
		before = step->time_ns;
	}
}

/* Of a socket that has met nobody, what it is bound to. */
static void out_ends(struct out *out, const struct ladder *ladder)
{
	const struct strand *client = ladder->ends[0], *server = ladder->ends[1];
	const struct endpoint *from = client ? &client->local : &server->peer;
	const struct endpoint *to = client ? &client->peer : &server->local;

	if (from->family)
		out_where(out, from);
	out_str(out, from->family && to->family ? " to " : "");
	if (to->family)
		out_where(out, to);
	if (!from->family && !to->family)
		out_str(out, "a socket without an address");
}

static void write_heading(FILE *part, const struct report *report, const struct ladder *ladder,
			  size_t number)
{
	char text[512];
	struct out out = out_into(text, sizeof(text));

	out_u64(&out, number);
	out_str(&out, ". ");
	out_str(&out, kinds[ladder->kind]);
	out_str(&out, ": ");
	out_ends(&out, ladder);
	fputs("<section><h3>", part);
	html_out(part, &out);
	fputs("</h3>\n<table class=l><tr><th>after", part);
	for (size_t end = 0; end < 2; end++) {
		out = out_into(text, sizeof(text));
		if (ladder->ends[end])
			out_end(&out, report, ladder->ends[end]);
		else if (ladder->ends[!end]->connection)
			out_str(&out, "the other end is not in these events");
		fputs("<th>", part);
		html_out(part, &out);
	}
	putc('\n', part);
}

static void write_left_out(FILE *part, uint64_t left_out)
{
	char text[96];
	struct out out = out_into(text, sizeof(text));

	if (!left_out)
		return;
	out_count(&out, left_out);
	out_str(&out, left_out == 1 ? " event between these is left out."
				    : " events between these are left out.");
	fputs("<p>", part);
	html_out(part, &out);
	fputs("\n", part);
}

void report_ladder(FILE *part, const struct report *report, const struct ladder *ladder,
		   size_t number)
{
	struct rung rungs[2 * LADDER_STEPS_MOST];
	const size_t count = merge(ladder, rungs);
	uint64_t left_out = count > LADDER_STEPS_MOST ? count - LADDER_STEPS_MOST : 0;

	for (size_t end = 0; end < 2; end++)
		left_out += ladder->ends[end] ? ladder->ends[end]->left_out : 0;
	write_heading(part, report, ladder, number);
	write_rungs(part, rungs, count);
	fputs("</table>\n", part);
	write_left_out(part, left_out);
	fputs("</section>\n", part);
}
