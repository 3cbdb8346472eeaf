/* SPDX-License-Identifier: MIT */
/*
 * cli.c - see cli.h.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"
#include "reuse/version.h"

void cli_say(const char *name, const char *format, ...)
{
	char text[8192], line[8192];
	struct out out = out_into(line, sizeof(line) - 1);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	out_str(&out, "tcpshim");
	if (name) {
		out_char(&out, ' ');
		out_str(&out, name);
	}
	out_str(&out, ": ");
	out_plain(&out, text, strlen(text));
	*out.at = '\0';
	/* One write: other processes' lines don't get in between. */
	fprintf(stderr, "%s\n", line);
}

int cli_usage(const char *name, const char *wrong)
{
	cli_say(name, "%s (see tcpshim %s%s--help)", wrong, name ? name : "", name ? " " : "");
	return STATUS_USAGE;
}

int cli_unknown(const char *name, const char *kind, const char *word, const char *const *words,
		size_t count)
{
	const char *meant = nearest_word(word, words, count);
	char wrong[512];

	snprintf(wrong, sizeof(wrong), "%.200s is no %s%s%s%s", word, kind, meant ? ": " : "",
		 meant ? meant : "", meant ? " was probably meant" : "");
	return cli_usage(name, wrong);
}

int cli_version(void)
{
	puts("tcpshim " REUSE_VERSION);
	return STATUS_FINE;
}

static const char *name_of(int val, const struct option *options)
{
	for (; options->name; options++)
		if (options->val == val)
			return options->name;
	return NULL;
}

void cli_refused(struct out *out, int refused, char **argv, const struct option *options)
{
	const char *name = name_of(optopt, options);
	const char *word = argv[optind - 1];

	if (name) {
		out_str(out, "--");
		out_str(out, name);
		out_str(out, refused == ':' ? " needs a value" : " takes no value");
	} else if (optopt) {
		out_char(out, '-');
		out_char(out, (char)optopt);
		out_str(out, " is no option");
	} else {
		/* Unknown, or the beginning of several. */
		out_mem(out, word, strcspn(word, "="));
		out_str(out, " is no option");
	}
}
