/* SPDX-License-Identifier: MIT */
/*
 * stage.c - see stage.h.
 */
#include "demo/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "demo/ends.h"
#include "facts/names.h"
#include "log/screen.h"

/* The same in a file as on a terminal of 80 columns, the usual one. */
enum { WIDTH = 79, WHO = 2, CALL = 10, SS = 23 };

/* A line that is being made. */
struct text {
	char bytes[4096];
	struct out out;
	struct text_style style;
	struct line line;
};

static void text_begin(struct text *text, const struct stage *stage)
{
	text->out = out_into(text->bytes, sizeof(text->bytes) - 1);
	text->style = (struct text_style){.colored = stage->colored, .width = WIDTH};
	text->line = line_begin(&text->out, &text->style);
}

static void text_end(struct text *text)
{
	*text->out.at = '\0';
	puts(text->bytes);
}

static void text_who(struct text *text, const char *who)
{
	line_column(&text->line, WHO);
	out_str(&text->out, who);
	line_column(&text->line, CALL);
}

void stage_give_up(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fflush(stdout);
	cli_say("demo", "not shown: %s", text);
	exit(STATUS_NO);
}

int stage_must(int rc, const char *call)
{
	if (rc < 0)
		stage_give_up("%s: %s", call, strerror(errno));
	return rc;
}

/* --- Words --- */

static void block_begins(struct stage *stage)
{
	if (stage->in_block)
		return;
	puts(stage->markdown ? "\n```" : "");
	stage->in_block = true;
	stage->has_head = false;
}

/* Of calls: the sockets that were shown before have changed. */
static void run_begins(struct stage *stage)
{
	block_begins(stage);
	if (stage->has_head)
		putchar('\n');
	stage->has_head = false;
}

static void block_ends(struct stage *stage)
{
	if (stage->in_block && stage->markdown)
		puts("```");
	stage->in_block = false;
}

/* Whoever ends the input has seen enough. */
static void wait_for_enter(void)
{
	int c;

	printf("  [ENTER]%s", isatty(STDIN_FILENO) ? " " : "\n");
	fflush(stdout);
	do
		c = getchar();
	while (c != '\n' && c != EOF);
	if (c == EOF) {
		putchar('\n');
		exit(STAGE_LEFT);
	}
}

void stage_title(struct stage *stage, const char *name, const char *about)
{
	struct text text;

	if (stage->markdown) {
		printf("\n## %s: %s\n", name, about);
		return;
	}
	text_begin(&text, stage);
	line_paint(&text.line, CALL_COLOR);
	out_str(&text.out, name);
	out_str(&text.out, ": ");
	out_str(&text.out, about);
	line_paint(&text.line, PLAIN);
	text_end(&text);
}

void stage_say(struct stage *stage, const char *format, ...)
{
	const bool shown = stage->in_block;
	const size_t indent = stage->markdown ? 0 : WHO;
	char said[2048];
	struct text text;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(said, sizeof(said), format, arguments);
	va_end(arguments);
	block_ends(stage);
	putchar('\n');
	text_begin(&text, stage);
	out_mem(&text.out, "  ", indent);
	out_str(&text.out, said);
	line_wrap(&text.line, indent);
	text_end(&text);
	if (shown && stage->by_hand)
		wait_for_enter();
}

void stage_line(struct stage *stage, const char *format, ...)
{
	va_list arguments;

	block_begins(stage);
	printf("  ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void stage_did(struct stage *stage, const char *who, const char *format, ...)
{
	char did[512];
	struct text text;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(did, sizeof(did), format, arguments);
	va_end(arguments);
	run_begins(stage);
	text_begin(&text, stage);
	text_who(&text, who);
	out_str(&text.out, did);
	line_wrap(&text.line, CALL + 2);
	text_end(&text);
}

/* --- What the library logs --- */

/* All that is in the pipe: what a call has logged is there when it has returned. */
static size_t read_events(struct stage *stage, char *bytes, size_t size)
{
	size_t have = 0;
	ssize_t count;

	while (have < size && (count = read(stage->events, bytes + have, size - have)) > 0)
		have += (size_t)count;
	return have;
}

void stage_hush(struct stage *stage)
{
	char bytes[16384];

	while (read_events(stage, bytes, sizeof(bytes)) > 0)
		;
}

/* The states at the right edge; below the call where they have no room beside it. */
static void out_states(struct text *text, const char *states)
{
	const size_t width = strlen(states);

	if (line_width(&text->line) + width + 2 > WIDTH)
		line_next(&text->line, 0);
	if (width < WIDTH)
		line_column(&text->line, WIDTH - width);
	line_paint(&text->line, STATE_COLOR);
	out_str(&text->out, states);
	line_paint(&text->line, PLAIN);
}

static bool is_state(const char *word, size_t len)
{
	for (int state = STATE_CLOSED; state < STATE_COUNT; state++) {
		const char *name = state_name((enum tcp_state_id)state);

		if (strlen(name) == len && memcmp(name, word, len) == 0)
			return true;
	}
	return false;
}

/* Where the states begin behind the call's result; at the end where there are none. */
static char *states_of(char *call)
{
	char *at = strstr(call, " = ");

	for (at = at ? at : call + strlen(call); *at; at += strcspn(at, " ")) {
		at += strspn(at, " ");
		if (is_state(at + (*at == '('), strcspn(at + (*at == '('), " )")))
			break;
	}
	return at;
}

/* A line of the log without its time, its program, and the addresses, which stand below it. */
static void tell_call(struct stage *stage, const char *who, char *call)
{
	char *states = states_of(call), *ends = strstr(call, " <");
	struct text text;

	if (*states)
		states[-1] = '\0';
	if (ends)
		*ends = '\0';
	for (char *end = call + strlen(call); end > call && end[-1] == ' ';)
		*--end = '\0';
	text_begin(&text, stage);
	text_who(&text, who);
	line_paint(&text.line, CALL_COLOR);
	out_str(&text.out, call);
	line_paint(&text.line, PLAIN);
	out_states(&text, states);
	text_end(&text);
}

static void tell_note(struct stage *stage, const char *note)
{
	struct text text;

	text_begin(&text, stage);
	line_column(&text.line, CALL);
	line_paint(&text.line, NOTE_COLOR);
	out_str(&text.out, note);
	line_paint(&text.line, PLAIN);
	line_wrap(&text.line, CALL + 6);
	text_end(&text);
}

/* "17:02:11.042390 tcpshim[4242] bind(3, ": whose it is, and behind that the call. */
static char *call_of(char *line, pid_t *ret_pid)
{
	char *bracket = *line == ' ' ? NULL : strchr(line, '[');
	char *end = bracket ? strstr(bracket, "] ") : NULL;

	if (!end)
		return NULL;
	*ret_pid = (pid_t)strtol(bracket + 1, NULL, 10);
	return end + 2;
}

void stage_calls_of(struct stage *stage, pid_t pid, const char *who)
{
	char bytes[16384], *rest = NULL;
	pid_t caller = 0;
	bool told = false;

	bytes[read_events(stage, bytes, sizeof(bytes) - 1)] = '\0';
	run_begins(stage);
	for (char *line = strtok_r(bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *call = call_of(line, &caller);

		if (caller != pid)
			continue;
		told = true;
		if (call)
			tell_call(stage, who, call);
		else
			tell_note(stage, line + strspn(line, " "));
	}
	if (!told)
		stage_give_up("libreuse.so has logged nothing of what the %s did", who);
}

void stage_calls(struct stage *stage, const char *who)
{
	stage_calls_of(stage, getpid(), who);
}

/* --- What the kernel has --- */

static void look(struct end *end)
{
	const int rc = end_look(end);

	if (rc < 0)
		stage_give_up("sock_diag: %s", strerror(-rc));
}

static long ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* An end gets there in its own time: by a segment that is on its way, or by a delayed ACK. */
static void await(const struct stage *stage, struct end *end, enum tcp_state_id state)
{
	enum { PATIENCE_MS = 10000 };
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (look(end); end->state != state; look(end)) {
		if (ms_since(&start) > PATIENCE_MS)
			stage_give_up("port %u is %s, not %s%s", end->local, state_name(end->state),
				      state_name(state),
				      stage->by_hand ? " (some states last for a minute: was ENTER "
						       "too late?)"
						     : "");
		poll(NULL, 0, 1);
	}
}

/* What ss would tell by its options, where it is to be known. */
static void tell_keeper(struct stage *stage, const struct end *end)
{
	const bool orphan = !end->inode && end->state != STATE_TIME_WAIT;
	const bool waits = end->state == STATE_ESTABLISHED;
	char left[64] = "";

	if (end->left_ms)
		snprintf(left, sizeof(left), "the kernel keeps it for %u s more",
			 (end->left_ms + 999) / 1000);
	if (orphan || end->left_ms)
		stage_line(stage, "%*s%s%s%s", CALL - WHO, "",
			   waits    ? "nobody has accepted it"
			   : orphan ? "no process has it open"
				    : "",
			   orphan && *left ? "; " : "", left);
}

static void show_end(struct stage *stage, const char *who, const struct end *end)
{
	struct text text;

	block_begins(stage);
	if (!stage->has_head)
		stage_line(stage, "%-*s%s", SS - WHO, "now",
			   "State      Recv-Q Send-Q Local           Peer");
	stage->has_head = true;
	text_begin(&text, stage);
	text_who(&text, who);
	line_paint(&text.line, STATE_COLOR);
	out_str(&text.out, state_name(end->state));
	line_paint(&text.line, PLAIN);
	line_column(&text.line, SS);
	if (end->state == STATE_CLOSED)
		out_str(&text.out, "(the kernel has no such socket any more)");
	else
		out_end(&text.out, end);
	text_end(&text);
	if (end->state != STATE_CLOSED)
		tell_keeper(stage, end);
}

/* Both are waited for before one is shown: the second may have moved the first. */
void stage_ends(struct stage *stage, const struct link *link, enum tcp_state_id client,
		enum tcp_state_id server)
{
	struct end ends[] = {
		{.local = link->client, .peer = link->server},
		{.local = link->server, .peer = link->client},
	};

	await(stage, &ends[0], client);
	await(stage, &ends[1], server);
	await(stage, &ends[0], client);
	show_end(stage, "client", &ends[0]);
	show_end(stage, "server", &ends[1]);
}

void stage_end(struct stage *stage, const char *who, uint16_t local, uint16_t peer,
	       enum tcp_state_id state)
{
	struct end end = {.local = local, .peer = peer};

	await(stage, &end, state);
	show_end(stage, who, &end);
}
