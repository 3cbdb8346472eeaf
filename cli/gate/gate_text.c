/* SPDX-License-Identifier: MIT */
/*
 * gate_text.c - what a gate has found, on standard error: lines of 80 columns, and those that
 * GitHub's runner shows beside the source.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "facts/names.h"
#include "gate/gate.h"
#include "log/screen.h"

enum { COUNT_WIDTH = 9, TEXT_AT = COUNT_WIDTH + 15, LINES_MOST = 100 };

/* "1,204" */
static void out_number(struct out *out, uint64_t number)
{
	if (number >= 1000) {
		out_number(out, number / 1000);
		out_char(out, ',');
		out_padded(out, number % 1000, 3);
	} else {
		out_u64(out, number);
	}
}

static void out_many(struct out *out, uint64_t count, const char *one, const char *several)
{
	out_number(out, count);
	out_str(out, count == 1 ? one : several);
}

/* Seconds, as exact as there is something to be exact about. */
static void out_seconds(struct out *out, uint64_t ms)
{
	out_u64(out, ms / 1000);
	if (ms % 1000 == 0)
		return;
	out_char(out, '.');
	if (ms % 100)
		out_padded(out, ms % 1000, 3);
	else
		out_u64(out, ms % 1000 / 100);
}

void out_codes(struct out *out, const struct gate_options *options)
{
	bool any = false;

	for (int code = 0; code < GATE_CODES; code++) {
		if (!(options->codes >> code & 1))
			continue;
		out_str(out, any ? ", " : "");
		out_str(out, gate_code_name((enum gate_code)code));
		if (code == GATE_CLOSE_WAIT) {
			out_char(out, ':');
			out_seconds(out, options->close_wait_ms);
		}
		any = true;
	}
}

static void out_at(struct out *out, struct gate *gate, const char *word, uint32_t place)
{
	const struct gate_place *at = gate_place(gate, place);

	if (!at)
		return;
	out_str(out, word);
	out_plain(out, at->at, strlen(at->at));
}

static void out_call(struct out *out, const struct finding_key *key)
{
	const char *error = error_name(key->error);

	out_str(out, ": ");
	out_str(out, call_name((enum call_id)key->call));
	out_char(out, ' ');
	if (error)
		out_str(out, error);
	else
		out_i64(out, key->error);
}

void out_gate_finding(struct out *out, struct gate *gate, const struct finding *finding)
{
	const struct finding_key *key = &finding->key;

	out_plain(out, key->prog, strnlen(key->prog, sizeof(key->prog)));
	switch ((enum gate_code)key->code) {
	case GATE_CLOSE_WAIT:
		out_at(out, gate, ", made at ", key->place);
		break;
	case GATE_DOUBLE_CLOSE:
		out_at(out, gate, " at ", key->place);
		out_at(out, gate, ", closed before at ", key->closed_place);
		break;
	case GATE_LEFT_OPEN:
		out_str(out, ", in ");
		out_str(out, key->state ? state_name((enum tcp_state_id)key->state)
					: "a state that is not known");
		out_at(out, gate, ", made at ", key->place);
		break;
	case GATE_BIND_FAILED:
		out_call(out, key);
		out_at(out, gate, " at ", key->place);
		break;
	case GATE_LOST_EVENTS:
		out_str(out, ": events that nobody has seen, and what is wrong in them");
		break;
	default:
		out_at(out, gate, " at ", key->place);
	}
}

static void print_wrapped(struct out *out, size_t indent)
{
	static const struct text_style style = {.width = 80};
	struct line line = line_begin(out, &style);

	line.start = out->start;
	line_wrap(&line, indent);
	fprintf(stderr, "%.*s\n", (int)out_len(out), out->start);
}

static void print_finding(struct gate *gate, const struct finding *finding)
{
	char text[2 * PATH_MAX + 512], digits[32];
	struct out out = out_into(text, sizeof(text));
	struct out number = out_into(digits, sizeof(digits));
	const char *mark = marks_at(&gate->marks, finding->first_ns, finding->pid);

	out_number(&number, finding->count);
	for (size_t i = out_len(&number); i < COUNT_WIDTH; i++)
		out_char(&out, ' ');
	out_mem(&out, digits, out_len(&number));
	out_str(&out, "  ");
	out_str(&out, gate_code_name((enum gate_code)finding->key.code));
	out_column(&out, TEXT_AT);
	out_gate_finding(&out, gate, finding);
	if (mark) {
		out_str(&out, ", in ");
		out_plain(&out, mark, strlen(mark));
	}
	print_wrapped(&out, TEXT_AT);
	if (!*finding->said)
		return;
	out = out_into(text, sizeof(text));
	out_column(&out, TEXT_AT);
	out_plain(&out, finding->said, strlen(finding->said));
	print_wrapped(&out, TEXT_AT);
}

static size_t shown_of(const struct gate *gate)
{
	size_t count = 0;

	for (size_t i = 0; i < gate->row_count; i++)
		count += !gate->rows[i]->suppressed;
	return count;
}

/* The first line: is anything wrong, and of what is that said? */
static void print_first(const struct gate *gate)
{
	const uint64_t count = shown_of(gate);
	char text[512];
	struct out out = out_into(text, sizeof(text));

	out_str(&out, "tcpshim run: ");
	if (count)
		out_many(&out, count, " finding", " findings");
	else
		out_str(&out, "nothing found");
	out_str(&out, " (");
	out_codes(&out, gate->options);
	out_str(&out, ") in ");
	out_many(&out, gate->findings.events, " event of ", " events of ");
	out_many(&out, gate->findings.images.count, " program", " programs");
	print_wrapped(&out, 4);
}

static void print_rows(struct gate *gate)
{
	size_t shown = 0;

	for (size_t i = 0; i < gate->row_count; i++)
		if (!gate->rows[i]->suppressed && shown++ < LINES_MOST)
			print_finding(gate, gate->rows[i]);
	if (shown > LINES_MOST)
		fprintf(stderr, "        and %zu more\n", shown - LINES_MOST);
}

static void print_suppressions(const struct gate *gate)
{
	for (size_t i = 0; i < gate->suppressions.count; i++) {
		const struct suppression *one = &gate->suppressions.all[i];
		char text[1024];
		struct out out = out_into(text, sizeof(text));

		out_str(&out, one->used ? "  suppressed " : "  never used:");
		if (one->used)
			out_many(&out, one->used, " finding:", " findings:");
		out_str(&out, " line ");
		out_u64(&out, one->line);
		out_str(&out, ", ");
		out_plain(&out, one->code, strlen(one->code));
		out_char(&out, ' ');
		out_plain(&out, one->program, strlen(one->program));
		out_char(&out, ' ');
		out_plain(&out, one->place, strlen(one->place));
		print_wrapped(&out, 4);
	}
}

static void print_running(const struct gate *gate)
{
	char text[2048];
	struct out out = out_into(text, sizeof(text));
	size_t count = 0;

	for (size_t i = 0; i < gate->tree.count; i++) {
		const struct tree_process *process = &gate->tree.all[i];

		if (!tree_records(&gate->tree, process))
			continue;
		out_str(&out, count++ ? ", " : "  still running, and judged as far as seen: ");
		out_plain(&out, process->prog, strnlen(process->prog, sizeof(process->prog)));
		out_str(&out, " (");
		out_i64(&out, process->pid);
		out_char(&out, ')');
	}
	if (count)
		print_wrapped(&out, 4);
}

static void print_limit(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print_limit(const char *format, ...)
{
	char text[512];
	struct out out = out_into(text, sizeof(text));
	char words[480];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	out_str(&out, "  ");
	out_str(&out, words);
	print_wrapped(&out, 4);
}

/* What could not be seen. */
static void print_limits(const struct gate *gate)
{
	const struct findings *findings = &gate->findings;
	const bool close_wait = gate->options->codes >> GATE_CLOSE_WAIT & 1;
	const uint64_t out_of_memory = findings->rows.left_out + findings->places.left_out +
				       findings->held.left_out + findings->images.left_out;

	if (close_wait && gate->diag_error)
		print_limit("CLOSE_WAIT was not looked for: sock_diag: %s",
			    strerror(gate->diag_error));
	else if (close_wait)
		print_limit("CLOSE_WAIT was looked for every 250 ms, in this network namespace: "
			    "what was shorter%s may be missing",
			    findings->elsewhere ? " or elsewhere" : "");
	if (close_wait && findings->elsewhere)
		print_limit("sockets in another network namespace: %" PRIu64, findings->elsewhere);
	if ((gate->options->codes >> GATE_LEFT_OPEN & 1) && findings->ends_unseen)
		print_limit("programs that did not end by exit(), of which left-open tells "
			    "nothing: %" PRIu64,
			    findings->ends_unseen);
	if (gate->drain_error)
		print_limit("the recorder could not be read to its end: %s",
			    strerror(gate->drain_error));
	if (out_of_memory)
		print_limit("left out for want of room: %" PRIu64, out_of_memory);
	if (gate->no_places)
		print_limit("without libunwind no places are known (see tcpshim check)");
}

void gate_text(struct gate *gate)
{
	print_first(gate);
	print_rows(gate);
	print_suppressions(gate);
	print_running(gate);
	print_limits(gate);
}

/* As GitHub's runner reads it: in a property two more mean something. */
static void out_escaped(struct out *out, const char *text, size_t len, bool property)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const char *end = text + len; text < end; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c != '%' && c != 0x7f && !(property && (c == ':' || c == ','))) {
			out_char(out, (char)c);
			continue;
		}
		out_char(out, '%');
		out_char(out, hex[c >> 4]);
		out_char(out, hex[c & 15]);
	}
}

static void annotate(struct gate *gate, const struct finding *finding)
{
	const struct gate_place *place = gate_place(gate, finding->key.place);
	char text[3 * PATH_MAX + 4096], words[2 * PATH_MAX + 512] = "";
	struct out out = out_into(text, sizeof(text)), message = out_into(words, sizeof(words));
	const char *name = gate_code_name((enum gate_code)finding->key.code);
	const char *mark = marks_at(&gate->marks, finding->first_ns, finding->pid);

	out_str(&out, gate_fails(gate, finding) ? "::error " : "::warning ");
	if (place && *place->file) {
		out_str(&out, "file=");
		out_escaped(&out, place->file, strlen(place->file), true);
		out_str(&out, ",line=");
		out_i64(&out, place->line);
		out_char(&out, ',');
	}
	out_str(&out, "title=");
	out_str(&out, name);
	out_str(&out, "::");
	out_many(&message, finding->count, " time: ", " times: ");
	out_gate_finding(&message, gate, finding);
	if (mark) {
		out_str(&message, ", in ");
		out_plain(&message, mark, strlen(mark));
	}
	if (*finding->said) {
		out_str(&message, ": ");
		out_plain(&message, finding->said, strlen(finding->said));
	}
	out_escaped(&out, words, out_len(&message), false);
	fprintf(stderr, "%.*s\n", (int)out_len(&out), text);
}

void gate_annotate(struct gate *gate)
{
	for (size_t i = 0; i < gate->row_count; i++)
		if (!gate->rows[i]->suppressed)
			annotate(gate, gate->rows[i]);
}
