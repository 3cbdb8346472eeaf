/* SPDX-License-Identifier: MIT */
/*
 * run_options.c - see run_options.h.
 */
#include "run_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "facts/settings.h"

/*
 * An option for each variable, with its row's name in settings.def: how its value is called, may
 * it be left out, what the variable does. A row without its line here does not compile.
 */
#define OPTION_log "=WHERE", required_argument, "where the events go"
#define OPTION_format "=FORMAT", required_argument, "how the events look"
#define OPTION_reuse "=MODE", required_argument, "when SO_REUSEADDR is set before bind"
#define OPTION_reuseport "[=0|1]", optional_argument, "set SO_REUSEPORT as well"
#define OPTION_ports "=LIST", required_argument, "set options for these ports only"
#define OPTION_wait "=SECONDS", required_argument, "wait for dying connections on the port"
#define OPTION_calls "=LIST", required_argument, "log these calls only"
#define OPTION_only "=NAMES", required_argument, "act in these programs only"
#define OPTION_skip "=NAMES", required_argument, "do nothing in these programs"
#define OPTION_stack "=N", required_argument, "show that many callers with each event"
#define OPTION_report "[=0|1]", optional_argument, "at exit, list the sockets left open"
#define OPTION_color "=WHEN", required_argument, "colours in the text"

static const struct row {
	const char *name, *value;
	int has_value;
	const char *about;
} rows[] = {
#define SETTING(variable, name, accepted, otherwise) {#name, OPTION_##name},
#include "reuse/settings.def"
};

enum {
#define SETTING(variable, name, accepted, otherwise) ROW_##name,
#include "reuse/settings.def"
};

/* What getopt_long returns: a row's number above this, or one of these. */
enum { FIRST = 256, JSON = FIRST + SETTINGS, USER, ROOT, SUPERVISE, NO_SUPERVISE, GATE };

/* Behind the rows of the settings what all have, then what one has, and the end. */
enum { OTHERS = 3, OWN = 2 + GATE_OPTIONS, ALL = SETTINGS + OTHERS + OWN + 1 };

/* getopt_long's table; the rows come first. */
static void list_options(struct option list[ALL], enum run_kind kind)
{
	static const struct option others[OTHERS] = {
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
	};
	struct option *own = list + SETTINGS + OTHERS;

	memset(list, 0, ALL * sizeof(*list));
	for (int i = 0; i < SETTINGS; i++)
		list[i] = (struct option){rows[i].name, rows[i].has_value, NULL, FIRST + i};
	memcpy(list + SETTINGS, others, sizeof(others));
	switch (kind) {
	case RUN_CHECK:
		own[0] = (struct option){"user", required_argument, NULL, USER};
		return;
	case RUN_UNIT:
		own[0] = (struct option){"root", required_argument, NULL, ROOT};
		return;
	case RUN_RUN:
		own[0] = (struct option){"supervise", no_argument, NULL, SUPERVISE};
		own[1] = (struct option){"no-supervise", no_argument, NULL, NO_SUPERVISE};
		gate_options_list(own + 2, GATE);
	}
}

/* Keep the value where the library will understand it. */
static bool take_value(struct run_options *options, int i, const char *value, struct out *wrong)
{
	struct settings scratch;
	char name[32];

	settings_init(&scratch);
	if (settings_table[i].parse(&scratch, value)) {
		options->values[i] = value;
		return true;
	}
	snprintf(name, sizeof(name), "--%s", rows[i].name);
	settings_refuse(wrong, name, &settings_table[i], value);
	return false;
}

/* What a gate decides by itself, and what is nothing without one. */
static bool go_together(const struct run_options *options, struct out *wrong)
{
	static const int decided[] = {ROW_log, ROW_calls};

	if (options->gate.other && !options->gate.on) {
		out_str(wrong, "--");
		out_str(wrong, options->gate.other);
		out_str(wrong, " means nothing without --fail-on");
		return false;
	}
	for (size_t i = 0; options->gate.on && i < sizeof(decided) / sizeof(decided[0]); i++) {
		if (!options->values[decided[i]])
			continue;
		out_str(wrong, "--fail-on records every call into a recorder of its own: --");
		out_str(wrong, rows[decided[i]].name);
		out_str(wrong, " can't be given with it");
		return false;
	}
	return true;
}

static enum run_wish parse(struct run_options *options, enum run_kind kind, int argc, char **argv,
			   struct out *wrong)
{
	struct option list[ALL];
	int found;

	list_options(list, kind);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	/* "+": the first word that is no option is the command, and what follows is its own. */
	while ((found = getopt_long(argc, argv, kind == RUN_UNIT ? ":hV" : "+:hV", list, NULL)) !=
	       -1) {
		if (found == 'h')
			return RUN_HELP;
		if (found == 'V')
			return RUN_VERSION;
		if (found == JSON && kind == RUN_CHECK) {
			options->json = true;
		} else if (found == JSON) {
			options->values[ROW_format] = "json";
		} else if (found == USER) {
			options->user = optarg;
		} else if (found == ROOT) {
			options->root = optarg;
		} else if (found == SUPERVISE || found == NO_SUPERVISE) {
			options->supervise = found == SUPERVISE ? SUPERVISE_ANY : SUPERVISE_NONE;
		} else if (found >= GATE) {
			if (!gate_options_take(&options->gate, found - GATE, optarg, wrong))
				return RUN_WRONG;
		} else if (found < FIRST) {
			cli_refused(wrong, found, argv, list);
			return RUN_WRONG;
		} else if (!take_value(options, found - FIRST, optarg ? optarg : "1", wrong)) {
			return RUN_WRONG;
		}
	}
	if (optind >= argc || !*argv[optind]) {
		out_str(wrong, kind == RUN_UNIT ? "no UNIT is given" : "no command is given");
		return RUN_WRONG;
	}
	if (!go_together(options, wrong))
		return RUN_WRONG;
	options->command = argv + optind;
	return RUN_COMMAND;
}

enum run_wish run_options_parse(struct run_options *options, enum run_kind kind, int argc,
				char **argv)
{
	struct out wrong = out_into(options->wrong, sizeof(options->wrong) - 1);
	enum run_wish wish;

	memset(options, 0, sizeof(*options));
	gate_options_begin(&options->gate);
	wish = parse(options, kind, argc, argv, &wrong);
	*wrong.at = '\0';
	return wish;
}

int run_options_main(const struct run_subcommand *is, int argc, char **argv)
{
	struct run_options options;

	switch (run_options_parse(&options, is->kind, argc, argv)) {
	case RUN_HELP:
		return is->help();
	case RUN_VERSION:
		return cli_version();
	case RUN_WRONG:
		return cli_usage(is->name, options.wrong);
	case RUN_COMMAND:
		break;
	}
	return is->work(&options);
}

bool run_options_apply(const struct run_options *options)
{
	for (int i = 0; i < SETTINGS; i++)
		if (options->values[i] &&
		    setenv(settings_table[i].variable, options->values[i], 1) < 0)
			return false;
	return true;
}

void run_options_list(enum run_kind kind)
{
	enum { MOST = 60 }; /* with its default in 80 columns */

	for (int i = 0; i < SETTINGS; i++) {
		const struct setting *setting = &settings_table[i];
		const int width = 19 - (int)strlen(rows[i].name);

		printf("  --%s%-*s %s (%s)\n", rows[i].name, width, rows[i].value, rows[i].about,
		       setting->variable);
		printf("%6s%s;%sdefault: %s\n", "", setting->accepted,
		       strlen(setting->accepted) > MOST ? "\n      " : " ", setting->otherwise);
		if (i == ROW_format)
			printf("  --%-19s --format=json\n", "json");
	}
	if (kind == RUN_RUN) {
		puts("  --supervise           follow any program from outside, and what it starts\n"
		     "  --no-supervise        follow none: what can't be reached runs without");
		gate_options_help();
	}
	puts("  -h, --help            show this\n  -V, --version         show the version");
}
