/* SPDX-License-Identifier: MIT */
/*
 * report.c - tcpshim report: what the events of any number of files tell, what is wrong first.
 */
#include "report/report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "events/decimal.h"
#include "events/numbers.h"
#include "report/report_html.h"
#include "report/story.h"
#include "report/trace.h"
#include "written.h"

/* Whoever waits for longer than a second sees how far it is. */
struct progress {
	bool shown, wanted;
	int64_t next_ns;
	off_t whole; /* bytes; 0: not known */
};

static bool out_of_memory(void)
{
	cli_say("report", "%s", strerror(ENOMEM));
	return false;
}

static bool is_same(const struct host *a, const struct host *b)
{
	if (a->dev || b->dev)
		return a->dev == b->dev && a->ino == b->ino;
	return a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

/* The host's number. Files mostly follow others of the same. */
static uint32_t host_of(struct report *report, const struct host *host)
{
	for (uint32_t i = report->host_count; i-- > 0;)
		if (is_same(&report->hosts[i], host))
			return i;
	report->hosts[report->host_count] = *host;
	return report->host_count++;
}

static void add_file(struct report *report, const struct host *host, const char *path)
{
	struct input *input = &report->inputs.all[report->inputs.count++];

	input->path = path;
	input->host = host_of(report, host);
}

/* Of whom nothing is said: what lies in one folder is of one host. */
static void add_path(struct report *report, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct host host = {.name = slash ? path : ".", .len = slash ? (size_t)(slash - path) : 1};
	char folder[PATH_MAX];
	struct stat stat_of;

	host.len += slash == path;
	snprintf(folder, sizeof(folder), "%.*s", (int)host.len, host.name);
	if (strcmp(path, "-") != 0 && stat(folder, &stat_of) == 0) {
		host.dev = stat_of.st_dev;
		host.ino = stat_of.st_ino;
	}
	add_file(report, &host, path);
}

/* NAME=FILE */
static bool add_named(struct report *report, const char *text)
{
	const char *sign = strchr(text, '=');

	if (!sign || sign == text || !sign[1]) {
		cli_usage("report", "--host needs NAME=FILE");
		return false;
	}
	add_file(report, &(struct host){.name = text, .len = (size_t)(sign - text)}, sign + 1);
	return true;
}

/* "90s", "10m", "2h", "3d": before now. */
static bool parse_ago(const char *text, uint64_t *ret)
{
	static const char letters[] = "smhd";
	static const uint64_t seconds[] = {1, 60, 3600, 86400};
	const size_t len = strlen(text);
	const char *unit = len ? strchr(letters, text[len - 1]) : NULL;
	char digits[16];
	uint64_t number;
	const uint64_t now = (uint64_t)time(NULL);

	if (!unit || len > sizeof(digits))
		return false;
	memcpy(digits, text, len - 1);
	digits[len - 1] = '\0';
	if (!decimal(digits, 1000000, &number))
		return false;
	number *= seconds[unit - letters];
	*ret = (number < now ? now - number : 0) * 1000000000;
	return true;
}

/* "2026-11-24T17:02:11Z", the time in it or its seconds left out. */
static bool parse_since(const char *text, uint64_t *ret)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};

	if (parse_ago(text, ret))
		return true;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm date = {0};
		const char *end = strptime(text, forms[i], &date);
		const time_t seconds = end ? timegm(&date) : -1;

		if (!end || seconds < 0 || (*end && strcmp(end, "Z") != 0))
			continue;
		*ret = (uint64_t)seconds * 1000000000;
		return true;
	}
	return false;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct progress progress_begin(const struct report *report)
{
	struct progress progress = {.wanted = isatty(STDERR_FILENO),
				    .next_ns = now_ns() + 1000000000};

	for (size_t i = 0; progress.wanted && i < report->inputs.count; i++) {
		struct stat stat;

		if (lstat(report->inputs.all[i].path, &stat) == 0 && S_ISREG(stat.st_mode))
			progress.whole += stat.st_size;
	}
	return progress;
}

static void progress_show(struct progress *progress, const struct report *report)
{
	const int64_t now = now_ns();

	if (!progress->wanted || now < progress->next_ns)
		return;
	progress->next_ns = now + 200000000;
	progress->shown = true;
	fprintf(stderr, "\rtcpshim report: %llu events, %lld of %lld MB ",
		(unsigned long long)report->tally.events,
		(long long)inputs_read(&report->inputs) / 1000000,
		(long long)progress->whole / 1000000);
}

static void progress_end(const struct progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r%*s\r", 70, "");
}

/* Of many files, many may be open at a time. */
static void open_many(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void forget(struct report *report)
{
	inputs_end(&report->inputs);
	tally_end(&report->tally);
	free(report->hosts);
	free(report->inputs.all);
}

/* What is made of it: text on standard output where nothing else is. */
struct wanted {
	bool json;
	struct written html, diagram, trace;
	struct story story;
	struct trace tracing;
};

/* Two at once on standard output would be neither. */
static bool is_mixed(const struct wanted *wanted)
{
	const char *const paths[] = {wanted->html.path, wanted->diagram.path, wanted->trace.path};
	unsigned int on_stdout = wanted->json;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		on_stdout += paths[i] && strcmp(paths[i], "-") == 0;
	return on_stdout > 1;
}

/* Each is opened, and none of them is another one of them. */
static bool begin_files(struct report *report, struct wanted *wanted)
{
	if (!written_open(&wanted->html) || !written_open(&wanted->diagram) ||
	    !written_open(&wanted->trace))
		return false;
	if (!written_differs(&wanted->diagram, &wanted->html) ||
	    !written_differs(&wanted->trace, &wanted->html) ||
	    !written_differs(&wanted->trace, &wanted->diagram))
		return false;
	if (wanted->html.path || wanted->diagram.path) {
		story_begin(&wanted->story);
		report->tally.watches[WATCH_STORY] = &wanted->story.watch;
	}
	return true;
}

/* With the first event: what is in the file stays where there is none to be read. */
static bool begin_trace(struct report *report, struct wanted *wanted)
{
	if (!wanted->trace.path || report->tally.watches[WATCH_TRACE])
		return true;
	if (!written_begin(&wanted->trace))
		return false;
	trace_begin(&wanted->tracing, report, wanted->trace.file);
	report->tally.watches[WATCH_TRACE] = &wanted->tracing.watch;
	return true;
}

static bool read_all(struct report *report, struct wanted *wanted)
{
	struct progress progress = progress_begin(report);
	const struct input_event *event;
	unsigned int turn = 0;
	bool good = true;

	if (!inputs_begin(&report->inputs, report->inputs.count) || !tally_begin(&report->tally))
		return out_of_memory();
	while (good && (event = inputs_next(&report->inputs))) {
		good = begin_trace(report, wanted);
		tally_event(&report->tally, event);
		if (++turn % 4096 == 0)
			progress_show(&progress, report);
	}
	if (!report->inputs.failed)
		good = good && begin_trace(report, wanted);
	tally_finish(&report->tally);
	progress_end(&progress);
	return good;
}

static bool write_page(const struct report *report, struct wanted *wanted)
{
	return !wanted->html.path ||
	       (written_begin(&wanted->html) &&
		(report_html(wanted->html.file, report, &wanted->story) || out_of_memory()));
}

static bool write_diagram(struct wanted *wanted)
{
	if (!wanted->diagram.path)
		return true;
	if (!written_begin(&wanted->diagram))
		return false;
	diagram_write(wanted->diagram.file, &wanted->story.ways);
	return true;
}

static bool close_files(struct wanted *wanted)
{
	bool good = written_close(&wanted->html);

	good &= written_close(&wanted->diagram);
	good &= written_close(&wanted->trace);
	return good && (!wanted->tracing.left_out || out_of_memory());
}

static void show_figures(const struct report *report, const struct wanted *wanted)
{
	if (wanted->json)
		report_json(report);
	else if (!wanted->html.path && !wanted->diagram.path && !wanted->trace.path)
		report_text(report);
}

static int show(struct report *report, struct wanted *wanted)
{
	bool good;

	open_many();
	good = begin_files(report, wanted) && read_all(report, wanted);
	if (good && (report->tally.events || !report->inputs.failed)) {
		good = write_page(report, wanted);
		good &= write_diagram(wanted);
		show_figures(report, wanted);
	}
	good &= close_files(wanted);
	return report->inputs.failed || !good ? STATUS_NO : STATUS_FINE;
}

static int help(void)
{
	puts("Usage: tcpshim report [OPTION...] FILE...\n"
	     "Say what the events of flight recorders and of logs in JSON tell together: what\n"
	     "is wrong, the calls, and what became of the connections. - is standard input.\n"
	     "Files in one folder are of one host.\n"
	     "\n"
	     "  --json  the figures, as one object (see tcpshim(1))\n"
	     "  --html=OUT\n"
	     "          a page with pictures, in one file\n"
	     "  --diagram=OUT\n"
	     "          the states and the ways taken as a picture, in SVG\n"
	     "  --trace=OUT\n"
	     "          a trace for Perfetto (ui.perfetto.dev)\n"
	     "  --host=NAME=FILE\n"
	     "          FILE too, which is of that host\n"
	     "  --since=TIME\n"
	     "          no events before: 2026-11-24T17:02:11Z, or 90s, 10m, 2h, 3d ago\n"
	     "  --program=NAME\n"
	     "          events of that program alone\n"
	     "  --port=PORT\n"
	     "          events with that port at one end or the other\n"
	     "  --state=STATE\n"
	     "          events of sockets in that state, or passing it: CLOSE_WAIT, ...\n"
	     "  -h, --help, -V, --version");
	return STATUS_FINE;
}

static int refuse(int refused, char **argv, const struct option *options)
{
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);

	cli_refused(&wrong, refused, argv, options);
	*wrong.at = '\0';
	return cli_usage("report", text);
}

enum { JSON = 256, HTML, DIAGRAM, TRACE, HOST, SINCE, PROGRAM, PORT, STATE };

static bool wrong(const char *option, const char *value, const char *accepted)
{
	char text[400];

	snprintf(text, sizeof(text), "%s=%.200s is not understood (accepted: %s)", option, value,
		 accepted);
	cli_usage("report", text);
	return false;
}

/* An option that narrows. False where its value is wrong, which has been told. */
static bool understand(struct report *report, int option, char *value)
{
	struct tally_filter *filter = &report->tally.filter;
	uint64_t number;
	int state;

	switch (option) {
	case HOST:
		return add_named(report, value);
	case SINCE:
		return parse_since(value, &filter->since_ns) ||
		       wrong("--since", value, "2026-11-24T17:02:11Z, 90s, 10m, 2h, 3d");
	case PROGRAM:
		filter->program = value;
		return *value || wrong("--program", value, "a name");
	case PORT:
		if (!decimal(value, 65535, &number) || !number)
			return wrong("--port", value, "1 to 65535");
		filter->port = (uint16_t)number;
		return true;
	default:
		state = find_state(value);
		if (state == STATE_COUNT || state == STATE_UNKNOWN)
			return wrong("--state", value, "CLOSED, LISTEN, ESTABLISHED, ...");
		filter->state = (uint8_t)state;
		return true;
	}
}

/* Which is wrong is told: false. */
static bool take_option(struct report *report, struct wanted *wanted, int option, char *value)
{
	switch (option) {
	case JSON:
		wanted->json = true;
		return true;
	case HTML:
		wanted->html.path = value;
		return *value || wrong("--html", value, "a path");
	case DIAGRAM:
		wanted->diagram.path = value;
		return *value || wrong("--diagram", value, "a path");
	case TRACE:
		wanted->trace.path = value;
		return *value || wrong("--trace", value, "a path");
	default:
		return understand(report, option, value);
	}
}

static int run(struct report *report, struct wanted *wanted, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, JSON},
		{"html", required_argument, NULL, HTML},
		{"diagram", required_argument, NULL, DIAGRAM},
		{"trace", required_argument, NULL, TRACE},
		{"host", required_argument, NULL, HOST},
		{"since", required_argument, NULL, SINCE},
		{"program", required_argument, NULL, PROGRAM},
		{"port", required_argument, NULL, PORT},
		{"state", required_argument, NULL, STATE},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (option == 'V')
			return cli_version();
		if (option == '?' || option == ':')
			return refuse(option, argv, options);
		if (!take_option(report, wanted, option, optarg))
			return STATUS_USAGE;
	}
	for (; optind < argc; optind++)
		add_path(report, argv[optind]);
	if (!report->inputs.count)
		return cli_usage("report", "a FILE is to be given");
	if (is_mixed(wanted))
		return cli_usage("report", "only one can be on standard output");
	return show(report, wanted);
}

int report_main(int argc, char **argv)
{
	static struct wanted wanted = {.html = {.who = "report", .begins = "<!doctype html>"},
				       .diagram = {.who = "report", .begins = "<svg "},
				       .trace = {.who = "report", .begins = TRACE_BEGINS}};
	struct report report = {.inputs = {.who = "report"}};
	int status = STATUS_NO;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	report.inputs.all = calloc((size_t)argc, sizeof(*report.inputs.all));
	report.hosts = calloc((size_t)argc, sizeof(*report.hosts));
	if (report.inputs.all && report.hosts)
		status = run(&report, &wanted, argc, argv);
	else
		out_of_memory();
	forget(&report);
	story_end(&wanted.story);
	trace_end(&wanted.tracing);
	return status;
}
