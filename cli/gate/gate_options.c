/* SPDX-License-Identifier: MIT */
/*
 * gate_options.c - see gate_options.h.
 */
#include "gate/gate_options.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *about;
} codes[GATE_CODES] = {
#define CODE(id, name, about) {name, about},
#include "gate/gate_codes.def"
};

enum { FAIL_ON, GRACE, ANNOTATE, JUNIT, SUPPRESSIONS };

static const struct {
	const char *name;
	int has_value;
} rows[GATE_OPTIONS] = {
	[FAIL_ON] = {"fail-on", optional_argument},
	[GRACE] = {"grace", required_argument},
	[ANNOTATE] = {"annotate", required_argument},
	[JUNIT] = {"junit", required_argument},
	[SUPPRESSIONS] = {"suppressions", required_argument},
};

enum { GRACE_MS = 2000, CLOSE_WAIT_MS = 5000, SECONDS_MOST = 86400 };

static const char usual[] = "close-wait:5,double-close";

const char *gate_code_name(enum gate_code code)
{
	return codes[code].name;
}

enum gate_code gate_code_find(const char *name, size_t len)
{
	int code = 0;

	while (code < GATE_CODES &&
	       (strlen(codes[code].name) != len || memcmp(codes[code].name, name, len) != 0))
		code++;
	return (enum gate_code)code;
}

/* Seconds, with up to three digits behind a point: "5", "0.25". */
static bool parse_seconds(const char *text, size_t len, uint32_t *ret_ms)
{
	const char *const end = text + len;
	const size_t whole = strspn(text, "0123456789");
	uint32_t ms = 0, unit = 1000;

	if (!whole || whole > 5 || whole > len)
		return false;
	for (; text < end && *text != '.'; text++)
		ms = ms * 10 + (uint32_t)(*text - '0') * 1000;
	if (text < end && (++text == end || end - text > 3))
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		ms += (uint32_t)(*text - '0') * (unit /= 10);
	}
	*ret_ms = ms;
	return ms <= SECONDS_MOST * 1000U;
}

/* One of the list: CODE, or close-wait:SECONDS. */
static bool take_code(struct gate_options *options, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	const size_t name_len = colon ? (size_t)(colon - text) : len;
	const enum gate_code code = gate_code_find(text, name_len);

	if (code == GATE_CODES)
		return false;
	options->codes |= 1U << code;
	return !colon || (code == GATE_CLOSE_WAIT &&
			  parse_seconds(colon + 1, len - name_len - 1, &options->close_wait_ms));
}

static bool take_list(struct gate_options *options, const char *list)
{
	options->on = true;
	options->codes = 0;
	for (const char *at = list;; at++) {
		const size_t len = strcspn(at, ",");

		if (len == 3 && memcmp(at, "all", len) == 0)
			options->codes = (1U << GATE_CODES) - 1;
		else if (!take_code(options, at, len))
			return false;
		at += len;
		if (!*at)
			return true;
	}
}

void gate_options_list(struct option list[GATE_OPTIONS], int first)
{
	for (int i = 0; i < GATE_OPTIONS; i++)
		list[i] = (struct option){rows[i].name, rows[i].has_value, NULL, first + i};
}

void gate_options_begin(struct gate_options *options)
{
	*options = (struct gate_options){.close_wait_ms = CLOSE_WAIT_MS, .grace_ms = GRACE_MS};
}

static bool refuse(struct out *wrong, int row, const char *value, const char *accepted)
{
	out_str(wrong, "--");
	out_str(wrong, rows[row].name);
	out_char(wrong, '=');
	out_mem(wrong, value, strnlen(value, 200));
	out_str(wrong, " is not understood (accepted: ");
	out_str(wrong, accepted);
	out_char(wrong, ')');
	return false;
}

static bool refuse_list(struct out *wrong, const char *value)
{
	char names[200];
	struct out accepted = out_into(names, sizeof(names) - 1);

	for (int code = 0; code < GATE_CODES; code++) {
		out_str(&accepted, codes[code].name);
		out_str(&accepted, code == GATE_CLOSE_WAIT ? "[:SECONDS], " : ", ");
	}
	out_str(&accepted, "all");
	*accepted.at = '\0';
	return refuse(wrong, FAIL_ON, value, names);
}

bool gate_options_take(struct gate_options *options, int row, const char *value, struct out *wrong)
{
	if (row != FAIL_ON)
		options->other = rows[row].name;
	switch (row) {
	case FAIL_ON:
		return take_list(options, value ? value : usual) || refuse_list(wrong, value);
	case GRACE:
		return parse_seconds(value, strlen(value), &options->grace_ms) ||
		       refuse(wrong, row, value, "seconds, 0 to 86400");
	case ANNOTATE:
		options->annotate = strcmp(value, "github") == 0;
		return options->annotate || refuse(wrong, row, value, "github");
	case JUNIT:
		options->junit = value;
		return *value || refuse(wrong, row, value, "a path");
	default:
		options->suppressions = value;
		return *value || refuse(wrong, row, value, "a path");
	}
}

bool gate_options_is_list(const char *word)
{
	struct gate_options scratch;

	gate_options_begin(&scratch);
	return take_list(&scratch, word);
}

void gate_options_help(void)
{
	printf("  --fail-on[=LIST]      a gate for builds: exit 99 where something is found of\n");
	for (int code = 0; code < GATE_CODES; code++) {
		const bool timed = code == GATE_CLOSE_WAIT;

		printf("      %s%-*s %s\n", codes[code].name, 21 - (int)strlen(codes[code].name),
		       timed ? "[:SECONDS]" : "", codes[code].about);
	}
	printf("%6s%-21s all of these; default: %s\n", "", "all", usual);
	puts("  --grace=SECONDS       wait so long for what outlives the command; default: 2\n"
	     "  --suppressions=FILE   lines CODE PROGRAM PLACE: what is no finding\n"
	     "  --junit=FILE          the findings as JUnit's XML, a test case a code\n"
	     "  --annotate=github     and as lines that GitHub shows beside the source");
}
