/* SPDX-License-Identifier: MIT */
/*
 * diagram.c - see diagram.h. The picture is 500 wide and so laid out that it is legible on a phone.
 */
#include "report/diagram.h"

#include "facts/names.h"
#include "report/report_words.h"

enum { BOX_WIDTH = 112, BOX_HEIGHT = 34 };

/* Where a state stands; CLOSED does so twice, as in the RFC. */
static const struct box {
	uint8_t state;
	uint16_t x, y;
} boxes[] = {
	{STATE_CLOSED, 240, 28},      {STATE_LISTEN, 240, 120},	     {STATE_SYN_RCVD, 76, 212},
	{STATE_SYN_SENT, 404, 212},   {STATE_ESTABLISHED, 240, 304}, {STATE_FIN_WAIT_1, 76, 396},
	{STATE_CLOSE_WAIT, 404, 396}, {STATE_FIN_WAIT_2, 76, 488},   {STATE_CLOSING, 240, 488},
	{STATE_LAST_ACK, 404, 488},   {STATE_TIME_WAIT, 240, 580},   {STATE_CLOSED, 404, 580},
};

/* A way: its line, what takes it, and where that stands. */
static const struct edge {
	uint8_t from, to;
	const char *line, *what;
	uint16_t x, y;
	const char *anchor;
	bool unseen; /* no event tells of it */
} edges[] = {
	{STATE_CLOSED, STATE_LISTEN, "M230,45V101", "listen", 222, 70, "end", false},
	{STATE_LISTEN, STATE_CLOSED, "M252,103V47", "close", 260, 70, "start", false},
	{STATE_CLOSED, STATE_SYN_SENT, "M296,36H396V193", "connect", 388, 100, "end", false},
	{STATE_SYN_SENT, STATE_CLOSED, "M422,195V20H299", "fails, close", 428, 100, "start", false},
	{STATE_LISTEN, STATE_SYN_RCVD, "M184,128L96,193", "SYN", 126, 152, "end", false},
	{STATE_LISTEN, STATE_SYN_SENT, "M296,128L372,193", "", 330, 150, "start", false},
	{STATE_SYN_SENT, STATE_SYN_RCVD, "M348,212H135", "SYN (both connect)", 240, 198, "middle",
	 false},
	{STATE_SYN_RCVD, STATE_ESTABLISHED, "M100,229L188,286", "ACK", 132, 268, "end", false},
	{STATE_SYN_SENT, STATE_ESTABLISHED, "M380,229L292,286", "SYN,ACK", 348, 268, "start",
	 false},
	{STATE_SYN_RCVD, STATE_FIN_WAIT_1, "M48,229V377", "close", 42, 300, "end", false},
	{STATE_ESTABLISHED, STATE_FIN_WAIT_1, "M190,321L104,377", "close", 144, 336, "end", false},
	{STATE_ESTABLISHED, STATE_CLOSE_WAIT, "M290,321L374,377", "FIN", 344, 340, "start", false},
	{STATE_FIN_WAIT_1, STATE_FIN_WAIT_2, "M54,413V469", "ACK", 48, 438, "end", false},
	{STATE_FIN_WAIT_1, STATE_CLOSING, "M128,413L206,469", "FIN", 186, 434, "start", false},
	{STATE_FIN_WAIT_1, STATE_TIME_WAIT, "M92,413L158,464V552L186,568", "FIN, ACK", 164, 528,
	 "start", false},
	{STATE_FIN_WAIT_2, STATE_TIME_WAIT, "M76,505L181,580", "FIN", 108, 552, "end", false},
	{STATE_CLOSING, STATE_TIME_WAIT, "M252,505V561", "ACK", 260, 530, "start", false},
	{STATE_CLOSE_WAIT, STATE_LAST_ACK, "M404,413V469", "close", 412, 438, "start", false},
	{STATE_LAST_ACK, STATE_CLOSED, "M404,505V561", "ACK", 412, 530, "start", false},
	{STATE_TIME_WAIT, STATE_CLOSED, "M296,580H345", "time", 320, 570, "middle", true},
};

bool diagram_has(uint8_t from, uint8_t to)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (edges[i].from == from && edges[i].to == to)
			return true;
	return false;
}

/* "1,204", "12k", "3.4M": in little room. */
static void out_short(struct out *out, uint64_t count)
{
	static const char units[] = "kMGTPE";
	uint64_t rest = count;
	size_t unit = 0;

	if (count < 10000) {
		out_count(out, count);
		return;
	}
	for (rest = count / 100; rest >= 10000; rest /= 1000)
		unit++;
	out_u64(out, rest / 10);
	if (rest < 100) {
		out_char(out, '.');
		out_u64(out, rest % 10);
	}
	out_char(out, units[unit]);
}

static void write_style(FILE *out)
{
	fputs("<style>text{font:12px system-ui,sans-serif;fill:#222}"
	      ".w,.n,.r{paint-order:stroke;stroke:#fff;stroke-width:3px}"
	      ".w{font-size:11px;fill:#555}.n{font-weight:700}.r{font-weight:700;fill:#b3261e}"
	      ".s{font-weight:600;text-anchor:middle}rect{fill:#f2f2f2;stroke:#999}"
	      ".on{fill:#dcebfa;stroke:#1769aa}path{fill:none;stroke:#aaa;stroke-width:1.2}"
	      ".t{stroke:#1769aa}.d{stroke-dasharray:4 4}.b{fill:#fff;stroke:none}"
	      ".h{fill:#aaa;stroke:none}.k{fill:#1769aa;stroke:none}"
	      "@media(prefers-color-scheme:dark){text{fill:#e6e6e6}"
	      ".w,.n,.r{stroke:#181a1b}.w{fill:#aaa}.r{fill:#ff8a80}"
	      "rect{fill:#26292b;stroke:#777}.on{fill:#17344f;stroke:#6db3f2}"
	      ".t{stroke:#6db3f2}.b{fill:#181a1b}.k{fill:#6db3f2}}</style>\n"
	      "<defs>"
	      "<marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"9\" "
	      "markerHeight=\"9\" orient=\"auto\" markerUnits=\"userSpaceOnUse\">"
	      "<path class=\"h\" d=\"M0,0L8,4L0,8z\"/></marker>"
	      "<marker id=\"k\" viewBox=\"0 0 8 8\" refX=\"5\" refY=\"4\" markerWidth=\"16\" "
	      "markerHeight=\"16\" orient=\"auto\" markerUnits=\"userSpaceOnUse\">"
	      "<path class=\"k\" d=\"M0,0L8,4L0,8z\"/></marker></defs>\n",
	      out);
}

/* The more often, the thicker. */
static unsigned int thickness(uint64_t count)
{
	enum { LEAST = 2, MOST = 9 };
	const unsigned int bits = count ? 64 - (unsigned int)__builtin_clzll(count) : 0;

	return LEAST + bits / 2 < MOST ? LEAST + bits / 2 : MOST;
}

static void write_line(FILE *out, const struct edge *edge, uint64_t count)
{
	fprintf(out, "<path class=\"%s%s\" d=\"%s\" marker-end=\"url(#%s)\"", count ? "t" : "",
		edge->unseen && !count ? " d" : "", edge->line, count ? "k" : "a");
	if (count)
		fprintf(out, " style=\"stroke-width:%u\"", thickness(count));
	fputs("/>\n", out);
}

/* Below the number; at both sides of a line where it stands on that. */
static int below(const struct edge *edge, uint64_t count)
{
	if (edge->from == STATE_SYN_SENT && edge->to == STATE_SYN_RCVD)
		return count ? 28 : 0;
	return count ? 13 : 6;
}

static void write_label(FILE *out, const struct edge *edge, uint64_t count)
{
	const int x = edge->x, y = edge->y;
	char text[32];
	struct out number = out_into(text, sizeof(text) - 1);

	if (count) {
		out_short(&number, count);
		*number.at = '\0';
		fprintf(out, "<text class=\"n\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>", x,
			y, edge->anchor, text);
	}
	if (*edge->what)
		fprintf(out, "<text class=\"w\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
			x, y + below(edge, count), edge->anchor, edge->what);
}

static bool was_in(const struct ways *ways, uint8_t state)
{
	for (int other = 0; other < STATE_COUNT; other++)
		if (ways->of[state][other] || ways->of[other][state])
			return true;
	return false;
}

/* Its name; and how many went to CLOSED from it where the figure has no such way. */
static void write_box(FILE *out, const struct ways *ways, const struct box *box)
{
	const uint64_t cut =
		diagram_has(box->state, STATE_CLOSED) ? 0 : ways->of[box->state][STATE_CLOSED];
	const int x = box->x, y = box->y;
	char text[32];
	struct out number = out_into(text, sizeof(text) - 1);

	fprintf(out,
		"<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"7\"/>"
		"<text class=\"s\" x=\"%d\" y=\"%d\">%s</text>\n",
		was_in(ways, box->state) ? "on" : "", x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2,
		BOX_WIDTH, BOX_HEIGHT, x, y + 4, state_name((enum tcp_state_id)box->state));
	if (!cut || box->state == STATE_CLOSED)
		return;
	out_short(&number, cut);
	*number.at = '\0';
	fprintf(out,
		"<text class=\"r\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s cut off</text>\n", x,
		y + BOX_HEIGHT / 2 + 13, text);
}

void diagram_write(FILE *out, const struct ways *ways)
{
	fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 500 610\" width=\"500\" "
	      "height=\"610\">\n",
	      out);
	write_style(out);
	fputs("<rect class=\"b\" width=\"500\" height=\"610\"/>\n", out);
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		write_line(out, &edges[i], ways->of[edges[i].from][edges[i].to]);
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		write_label(out, &edges[i], ways->of[edges[i].from][edges[i].to]);
	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++)
		write_box(out, ways, &boxes[i]);
	fputs("</svg>\n", out);
}

void diagram_say_way(struct out *out, const struct ways *ways, uint8_t from, uint8_t to)
{
	const char *before = ", by ";

	out_str(out, state_name((enum tcp_state_id)from));
	out_str(out, " -> ");
	out_str(out, state_name((enum tcp_state_id)to));
	for (int call = 0; call < CALL_COUNT; call++) {
		if (!ways->by[from][to][call])
			continue;
		out_str(out, before);
		out_str(out, call_name((enum call_id)call));
		out_char(out, ' ');
		out_count(out, ways->by[from][to][call]);
		before = ", ";
	}
}

void diagram_say(struct out *out, const struct ways *ways)
{
	const char *before = "The state diagram of RFC 9293 with the ways that were taken: ";

	for (uint8_t from = 0; from < STATE_COUNT; from++)
		for (uint8_t to = 0; to < STATE_COUNT; to++) {
			if (!ways->of[from][to])
				continue;
			out_str(out, before);
			out_count(out, ways->of[from][to]);
			out_char(out, ' ');
			diagram_say_way(out, ways, from, to);
			before = "; ";
		}
	out_str(out, *before == ';' ? "." : "The state diagram of RFC 9293.");
}
