/* SPDX-License-Identifier: MIT */
/*
 * timeline.c - see timeline.h.
 */
#include "report/timeline.h"

#include <inttypes.h>
#include <string.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "report/lives.h"
#include "report/report_words.h"

enum {
	WIDTH = 720,
	PLOT_AT = 176,	  /* left of it: which socket */
	PLOT_WIDTH = 470, /* right of it: what the kernel keeps */
	BARS_HEIGHT = 40,
	LANES_AT = BARS_HEIGHT + 22,
	LANE_HEIGHT = 20,
	LEGEND_COLUMNS = 5,
	LEGEND_HEIGHT = 52,
};

static bool belongs(const struct strand *strand, const struct process_row *row)
{
	return strand && strand->host == row->key.host && (uint32_t)strand->pid == row->key.pid &&
	       strncmp(strand->prog, row->key.prog, sizeof(strand->prog)) == 0;
}

static int by_beginning(const struct strand *a, const struct strand *b)
{
	return (a->first_ns > b->first_ns) - (a->first_ns < b->first_ns);
}

size_t timeline_lanes(const struct process_row *row, const struct ladder *const *ladders,
		      size_t count, const struct strand *ret[TIMELINE_LANES])
{
	size_t found = 0;

	for (size_t i = 0; i < 2 * count && found < TIMELINE_LANES; i++) {
		const struct strand *strand = ladders[i / 2]->ends[i % 2];
		size_t at = found;

		if (!belongs(strand, row))
			continue;
		for (; at && by_beginning(ret[at - 1], strand) > 0; at--)
			ret[at] = ret[at - 1];
		ret[at] = strand;
		found++;
	}
	return found;
}

/* In tenths of a unit. */
static unsigned int x_of(const struct process_row *row, uint64_t time_ns)
{
	const uint64_t whole = row->last_ns - row->first_ns;
	const uint64_t after = time_ns < row->first_ns	? 0
			       : time_ns > row->last_ns ? whole
							: time_ns - row->first_ns;

	return PLOT_AT * 10 +
	       (whole ? (unsigned int)((double)after / (double)whole * (int)PLOT_WIDTH * 10) : 0);
}

static void put_x(FILE *out, unsigned int tenths)
{
	fprintf(out, "%u", tenths / 10);
	if (tenths % 10)
		fprintf(out, ".%u", tenths % 10);
}

static void write_style(FILE *out)
{
	fputs("<style>text{font:11px system-ui,sans-serif;fill:#222}.b{fill:#fff}"
	      ".c{fill:#9bb8d3}.f{fill:#c62828}.l{stroke:#ddd}"
	      ".p{opacity:.35}.k{fill:none;stroke:#222;stroke-width:.8}"
	      ".e{fill:none;stroke:#c62828;stroke-width:2}"
	      ".z{fill:none;stroke:#888;stroke-width:5;stroke-dasharray:4 3}"
	      ".s1{fill:#d0d0d0}.s2{fill:#78909c}.s3{fill:#fdd835}.s4{fill:#c0ca33}"
	      ".s5{fill:#43a047}.s6{fill:#fb8c00}.s7{fill:#ffb74d}.s8{fill:#e53935}"
	      ".s9{fill:#8d6e63}.s10{fill:#ab47bc}.s11{fill:#888}"
	      "@media(prefers-color-scheme:dark){text{fill:#e6e6e6}.b{fill:#181a1b}"
	      ".l{stroke:#333}.k{stroke:#eee}.c{fill:#4a6d8c}.s1{fill:#555}.e{stroke:#ff8a80}"
	      ".f{fill:#ff8a80}}"
	      "</style>\n",
	      out);
}
_Static_assert(STATE_TIME_WAIT == 11 && STATE_CLOSED == 1, "the classes of the states' colours");

/* How many events, in columns; of these those that failed, from below. */
static void write_bars(FILE *out, const struct process_row *row)
{
	uint32_t most = 1;

	for (size_t i = 0; i < STORY_BINS; i++)
		most = row->bins[i] > most ? row->bins[i] : most;
	for (size_t i = 0; i < STORY_BINS; i++) {
		const unsigned int from = x_of(row, row->first_ns + i * row->width_ns);
		const unsigned int to = x_of(row, row->first_ns + (i + 1) * row->width_ns);
		const uint32_t counts[] = {row->bins[i], row->failed_bins[i]};

		for (size_t kind = 0; kind < 2; kind++) {
			const unsigned int height =
				(unsigned int)((uint64_t)counts[kind] * BARS_HEIGHT / most);
			const unsigned int tall = counts[kind] && !height ? 1 : height;

			if (!tall)
				continue;
			fprintf(out, "<rect class=\"%c\" x=\"", kind ? 'f' : 'c');
			put_x(out, from);
			fprintf(out, "\" y=\"%u\" width=\"", BARS_HEIGHT - tall);
			put_x(out, to > from + 15 ? to - from - 5 : 10);
			fprintf(out, "\" height=\"%u\"/>", tall);
		}
	}
	putc('\n', out);
}

static void write_bar(FILE *out, uint8_t state, bool pale, unsigned int from, unsigned int to,
		      size_t y)
{
	enum { SLIGHT = 15 };

	if (pale && to <= from + SLIGHT)
		return;
	fprintf(out, "<rect class=\"s%u%s\" x=\"", state, pale ? " p" : "");
	put_x(out, from);
	fprintf(out, "\" y=\"%zu\" width=\"", y);
	put_x(out, to > from + SLIGHT ? to - from : SLIGHT);
	fputs("\" height=\"11\"/>", out);
}

/* From where the steps are in that state: the first that is not. */
static uint32_t end_of_state(const struct strand *strand, uint32_t first)
{
	uint32_t i = first + 1;

	while (i < strand->count && strand->steps[i].state == strand->steps[first].state &&
	       !strand->steps[i].n_via)
		i++;
	return i;
}

static void write_states(FILE *out, const struct process_row *row, const struct strand *strand,
			 size_t y)
{
	uint32_t next;

	for (uint32_t i = 0; i < strand->count; i = next) {
		const struct step *step = &strand->steps[i];
		const struct step *last, *after;
		uint64_t until;

		next = end_of_state(strand, i);
		last = &strand->steps[next - 1];
		after = next < strand->count ? &strand->steps[next] : last;
		until = last->time_ns;
		if (after != last &&
		    lives_lasted_to_call(step->state,
					 after->n_via ? after->via[0] : after->state) &&
		    after->dur_ns < after->time_ns && after->time_ns - after->dur_ns > until)
			until = after->time_ns - after->dur_ns;
		if (step->state == STATE_UNKNOWN)
			continue;
		write_bar(out, step->state, false, x_of(row, step->time_ns), x_of(row, until), y);
		write_bar(out, step->state, true, x_of(row, until), x_of(row, after->time_ns), y);
	}
}

/* What was passed on the way: without a length. */
static void write_passed(FILE *out, const struct process_row *row, const struct strand *strand,
			 size_t y)
{
	for (uint32_t i = 0; i < strand->count; i++)
		for (unsigned int k = 0; k < strand->steps[i].n_via; k++) {
			fprintf(out, "<rect class=\"s%u\" x=\"", strand->steps[i].via[k]);
			put_x(out, x_of(row, strand->steps[i].time_ns) + 20 * k);
			fprintf(out, "\" y=\"%zu\" width=\"2\" height=\"4\"/>", y - 4);
		}
}

static void write_calls(FILE *out, const struct process_row *row, const struct strand *strand,
			size_t y)
{
	for (int failed = 0; failed < 2; failed++) {
		bool any = false;

		for (uint32_t i = 0; i < strand->count; i++) {
			if ((strand->steps[i].error != 0) != failed)
				continue;
			fputs(any      ? "M"
			      : failed ? "<path class=\"e\" d=\"M"
				       : "<path class=\"k\" d=\"M",
			      out);
			put_x(out, x_of(row, strand->steps[i].time_ns));
			fprintf(out, ",%zuv11", y);
			any = true;
		}
		fputs(any ? "\"/>" : "", out);
	}
}

static void write_rest(FILE *out, const struct process_row *row, const struct strand *strand,
		       size_t y)
{
	const struct step *last = strand->count ? &strand->steps[strand->count - 1] : NULL;
	char text[64];
	struct out span = out_into(text, sizeof(text) - 1);
	const unsigned int from = last ? x_of(row, last->time_ns) : 0;

	if (!last || !last->has_timer || strand->end != LIFE_CLOSED)
		return;
	out_span(&span, last->timer_ms * UINT64_C(1000000));
	*span.at = '\0';
	fputs("<path class=\"z\" d=\"M", out);
	put_x(out, from);
	fprintf(out, ",%zuH%d\"/><text x=\"%d\" y=\"%zu\">%s</text>", y + 5,
		PLOT_AT + PLOT_WIDTH + 20, PLOT_AT + PLOT_WIDTH + 24, y + 9, text);
}

static void write_lane(FILE *out, const struct process_row *row, const struct strand *strand,
		       size_t y)
{
	char text[160];
	struct out name = out_into(text, sizeof(text) - 1);

	if (strand->local.family)
		out_endpoint(&name, &strand->local);
	else
		out_str(&name, "not bound");
	out_str(&name, strand->accepted ? " <- " : strand->peer.family ? " -> " : "");
	if (strand->peer.family) {
		out_char(&name, ':');
		out_u64(&name, strand->peer.port);
	}
	*name.at = '\0';
	fprintf(out, "<path class=\"l\" d=\"M0,%zuH%d\"/><text x=\"0\" y=\"%zu\">", y + 13, WIDTH,
		y + 9);
	for (const char *at = text; *at; at++)
		fputs(*at == '<' ? "&lt;" : *at == '>' ? "&gt;" : (char[]){*at, '\0'}, out);
	fputs("</text>", out);
	write_states(out, row, strand, y);
	write_passed(out, row, strand, y);
	write_calls(out, row, strand, y);
	write_rest(out, row, strand, y);
	putc('\n', out);
}

static void write_legend(FILE *out, size_t y)
{
	size_t at = 0;

	for (int state = STATE_CLOSED; state < STATE_COUNT; state++, at++) {
		const size_t x = at % LEGEND_COLUMNS * WIDTH / LEGEND_COLUMNS;
		const size_t line = y + at / LEGEND_COLUMNS * 16;

		fprintf(out,
			"<rect class=\"s%d\" x=\"%zu\" y=\"%zu\" width=\"14\" height=\"10\"/>"
			"<text x=\"%zu\" y=\"%zu\">%s</text>",
			state, x, line, x + 18, line + 9, state_name((enum tcp_state_id)state));
	}
	putc('\n', out);
}

void timeline_write(FILE *out, const struct process_row *row, const struct strand *const *lanes,
		    size_t count)
{
	const size_t lanes_end = LANES_AT + count * LANE_HEIGHT;
	const size_t height = count ? lanes_end + LEGEND_HEIGHT : LANES_AT;
	char text[64];
	struct out span = out_into(text, sizeof(text) - 1);

	out_span(&span, row->last_ns - row->first_ns);
	*span.at = '\0';
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" "
		"height=\"%zu\">\n",
		WIDTH, height, WIDTH, height);
	write_style(out);
	fprintf(out, "<rect class=\"b\" width=\"%d\" height=\"%zu\"/>", WIDTH, height);
	fprintf(out,
		"<text x=\"0\" y=\"%d\">events</text><text x=\"%d\" y=\"%d\">0</text>"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
		BARS_HEIGHT, PLOT_AT, BARS_HEIGHT + 12, PLOT_AT + PLOT_WIDTH, BARS_HEIGHT + 12,
		text);
	write_bars(out, row);
	for (size_t i = 0; i < count; i++)
		write_lane(out, row, lanes[i], LANES_AT + i * LANE_HEIGHT);
	if (count)
		write_legend(out, lanes_end + 4);
	fputs("</svg>\n", out);
}
