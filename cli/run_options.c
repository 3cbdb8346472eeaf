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
enum { FIRST = 256, JSON = FIRST + SETTINGS, USER };

/* Behind the rows of the settings; --user is the last one, which run has not. */
enum { OTHERS = 5 };

/* getopt_long's table; the rows come first. */
static void list_options(struct option list[SETTINGS + OTHERS], enum run_kind kind)
{
	const struct option others[OTHERS] = {
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{kind == RUN_CHECK ? "user" : NULL, required_argument, NULL, USER},
	};

	for (int i = 0; i < SETTINGS; i++)
		list[i] = (struct option){rows[i].name, rows[i].has_value, NULL, FIRST + i};
	memcpy(list + SETTINGS, others, sizeof(others));
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

static enum run_wish parse(struct run_options *options, enum run_kind kind, int argc, char **argv,
			   struct out *wrong)
{
	struct option list[SETTINGS + OTHERS];
	int found;

	list_options(list, kind);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	/* "+": the first word that is no option is the command. */
	while ((found = getopt_long(argc, argv, "+:hV", list, NULL)) != -1) {
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
		} else if (found < FIRST) {
			cli_refused(wrong, found, argv, list);
			return RUN_WRONG;
		} else if (!take_value(options, found - FIRST, optarg ? optarg : "1", wrong)) {
			return RUN_WRONG;
		}
	}
	if (optind >= argc || !*argv[optind]) {
		out_str(wrong, "no command is given");
		return RUN_WRONG;
	}
	options->command = argv + optind;
	return RUN_COMMAND;
}

enum run_wish run_options_parse(struct run_options *options, enum run_kind kind, int argc,
				char **argv)
{
	struct out wrong = out_into(options->wrong, sizeof(options->wrong) - 1);
	enum run_wish wish;

	memset(options, 0, sizeof(*options));
	wish = parse(options, kind, argc, argv, &wrong);
	*wrong.at = '\0';
	return wish;
}

bool run_options_apply(const struct run_options *options)
{
	for (int i = 0; i < SETTINGS; i++)
		if (options->values[i] &&
		    setenv(settings_table[i].variable, options->values[i], 1) < 0)
			return false;
	return true;
}

void run_options_list(void)
{
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting *setting = &settings_table[i];
		const int width = 19 - (int)strlen(rows[i].name);

		printf("  --%s%-*s %s (%s)\n", rows[i].name, width, rows[i].value, rows[i].about,
		       setting->variable);
		printf("%6s%s; default: %s\n", "", setting->accepted, setting->otherwise);
		if (i == ROW_format)
			printf("  --%-19s --format=json\n", "json");
	}
	puts("  -h, --help            show this\n  -V, --version         show the version");
}
