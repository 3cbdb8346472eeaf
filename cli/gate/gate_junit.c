/* SPDX-License-Identifier: MIT */
/*
 * gate_junit.c - what a gate has found as JUnit's XML: a test case for each code that is looked
 * for, which fails with all of its findings.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gate/gate.h"

/* U+FFFE and U+FFFF are UTF-8, and no characters of XML. */
static bool is_xml(const char *text, size_t len)
{
	return len && !(len == 3 && memcmp(text, "\xef\xbf", 2) == 0 &&
			((unsigned char)text[2] & 0xfe) == 0xbe);
}

/* What out_plain has made: printable UTF-8; but where room was short, its end may be cut. */
static void put_escaped(FILE *file, const char *text, size_t len)
{
	for (const char *const end = text + len; text < end;) {
		const size_t n = utf8_len((const unsigned char *)text, (size_t)(end - text));

		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			if (is_xml(text, n))
				fwrite(text, 1, n, file);
			else
				putc('?', file);
		}
		text += n ? n : 1;
	}
}

static void put_finding(FILE *file, struct gate *gate, const struct finding *finding)
{
	char text[2 * PATH_MAX + 1024];
	struct out out = out_into(text, sizeof(text));
	const char *mark = marks_at(&gate->marks, finding->first_ns, finding->pid);

	fprintf(file, "%" PRIu64 " x ", finding->count);
	out_gate_finding(&out, gate, finding);
	if (mark) {
		out_str(&out, ", in ");
		out_plain(&out, mark, strlen(mark));
	}
	if (*finding->said) {
		out_str(&out, ": ");
		out_plain(&out, finding->said, strlen(finding->said));
	}
	put_escaped(file, text, out_len(&out));
	putc('\n', file);
}

static void put_case(FILE *file, struct gate *gate, enum gate_code code)
{
	const char *name = gate_code_name(code);
	const uint64_t count = gate_failures(gate, code);

	fprintf(file, "  <testcase classname=\"tcpshim\" name=\"%s\"", name);
	if (!count) {
		fputs("/>\n", file);
		return;
	}
	fprintf(file, ">\n    <failure message=\"%s: %" PRIu64 "\" type=\"%s\">", name, count,
		name);
	for (size_t i = 0; i < gate->row_count; i++)
		if (gate->rows[i]->key.code == code && gate_fails(gate, gate->rows[i]))
			put_finding(file, gate, gate->rows[i]);
	fputs("</failure>\n  </testcase>\n", file);
}

static void put_suite(FILE *file, struct gate *gate)
{
	unsigned int tests = 0, failures = 0;

	for (int code = 0; code < GATE_CODES; code++) {
		tests += gate->options->codes >> code & 1;
		failures += gate_failures(gate, (enum gate_code)code) != 0;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", file);
	fprintf(file, "<testsuite name=\"tcpshim\" tests=\"%u\" failures=\"%u\">\n", tests,
		failures);
	for (int code = 0; code < GATE_CODES; code++)
		if (gate->options->codes >> code & 1)
			put_case(file, gate, (enum gate_code)code);
	fputs("</testsuite>\n", file);
}

/* The command may have removed the file, with its folder, or put another one there. */
bool gate_junit(struct gate *gate)
{
	struct written now = gate->junit;
	bool good;

	now.file = NULL;
	if (!written_open(&now))
		return false;
	good = written_begin(&now);
	if (good)
		put_suite(now.file, gate);
	return written_close(&now) && good;
}
