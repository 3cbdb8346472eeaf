/* SPDX-License-Identifier: MIT */
/*
 * dump.c - tcpshim dump: the events of a flight recorder, in order of time, or of a log in JSON,
 * as the lines that the log would have had; with --follow also those that still come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "events/source.h"
#include "facts/reader.h"
#include "facts/settings.h"
#include "log/render.h"

struct dump {
	struct settings set; /* format and color */
	struct text_style style;
	size_t too_long; /* events that no log has room for */
	struct source source;
};

static void print_event(struct dump *dump, const struct event *ev)
{
	char line[RECORD_MOST];
	struct out out = out_into(line, sizeof(line));

	if (dump->set.format == FORMAT_JSON)
		render_json(&out, ev);
	else
		render_text(&out, ev, &dump->style);
	if (out.truncated)
		dump->too_long++;
	else
		fwrite_unlocked(line, 1, out_len(&out), stdout);
}

/* False where nobody can be told any more. */
static bool print_all(struct dump *dump)
{
	struct event ev;

	for (;;)
		switch (source_next(&dump->source, &ev)) {
		case SOURCE_EVENT:
			print_event(dump, &ev);
			break;
		case SOURCE_PAUSE:
			if (fflush(stdout))
				return false;
			break;
		case SOURCE_END:
			return true;
		case SOURCE_FAILED:
			return false;
		}
}

static int show(struct dump *dump)
{
	bool good;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	good = source_open(&dump->source) && print_all(dump);
	if (dump->too_long)
		cli_say("dump", "%s: %zu event%s left out: longer than %d bytes", dump->source.path,
			dump->too_long, dump->too_long == 1 ? "" : "s", RECORD_MOST);
	source_close(&dump->source);
	return good ? STATUS_FINE : STATUS_USAGE;
}

static int help(void)
{
	puts("Usage: tcpshim dump [OPTION...] FILE\n"
	     "Print the events that FILE keeps: a flight recorder, which tcpshim run\n"
	     "--log=ring:FILE (or TCPSHIM_LOG=ring:FILE) has made, the oldest first; or a log\n"
	     "in JSON, line by line. - is standard input.\n"
	     "\n"
	     "  -f, --follow\n"
	     "          go on with the events that come, until interrupted\n"
	     "  --format=FORMAT\n"
	     "          text (the default) or json: one object a line\n"
	     "  --json  the same as --format=json\n"
	     "  --color=WHEN\n"
	     "          colours in the text: auto (the default: on a terminal), always or\n"
	     "          never\n"
	     "  -h, --help, -V, --version");
	return STATUS_FINE;
}

/* As the library understands the variable's value; false, and told, where it does not. */
static bool understand(struct dump *dump, const char *option, const char *variable,
		       const char *value)
{
	char text[800];
	struct out wrong = out_into(text, sizeof(text) - 1);

	for (unsigned int i = 0; i < settings_count; i++) {
		if (strcmp(settings_table[i].variable, variable) != 0)
			continue;
		if (settings_table[i].parse(&dump->set, value))
			return true;
		settings_refuse(&wrong, option, &settings_table[i], value);
	}
	*wrong.at = '\0';
	cli_usage("dump", text);
	return false;
}

/* Whose text it is: the terminal's, as it is now, and the locale's. */
static void know_reader(struct dump *dump)
{
	struct winsize size = {0};
	const bool terminal = isatty(STDOUT_FILENO);

	if (terminal)
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	dump->style = (struct text_style){
		.colored = reader_wants_color(dump->set.color, terminal, getenv("NO_COLOR"),
					      getenv("TERM")),
		.utf8 = reader_knows_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")),
		.width = size.ws_col,
	};
}

static int refuse(int refused, char **argv, const struct option *options)
{
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);

	cli_refused(&wrong, refused, argv, options);
	*wrong.at = '\0';
	return cli_usage("dump", text);
}

int dump_main(int argc, char **argv)
{
	enum { FORMAT = 256, JSON, COLOR };
	static const struct option options[] = {
		{"follow", no_argument, NULL, 'f'},
		{"format", required_argument, NULL, FORMAT},
		{"json", no_argument, NULL, JSON},
		{"color", required_argument, NULL, COLOR},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct dump dump = {.source = {.who = "dump"}};
	bool understood = true;
	int option;

	settings_init(&dump.set);
	opterr = 0;
	while (understood && (option = getopt_long(argc, argv, ":fhV", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			dump.source.follow = true;
			break;
		case FORMAT:
			understood = understand(&dump, "--format", "TCPSHIM_FORMAT", optarg);
			break;
		case JSON:
			dump.set.format = FORMAT_JSON;
			break;
		case COLOR:
			understood = understand(&dump, "--color", "TCPSHIM_COLOR", optarg);
			break;
		case 'h':
			return help();
		case 'V':
			return cli_version();
		default:
			return refuse(option, argv, options);
		}
	}
	if (!understood)
		return STATUS_USAGE;
	if (argc - optind != 1)
		return cli_usage("dump", "one FILE is to be given");
	dump.source.path = argv[optind];
	know_reader(&dump);
	return show(&dump);
}
