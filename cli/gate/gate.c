/* SPDX-License-Identifier: MIT */
/*
 * gate.c - tcpshim run --fail-on: stays as the command's parent, empties the recorder that its
 * tree fills, looks for connections that nobody closes, and judges when all is over.
 */
#include "gate/gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "gate/source_line.h"
#include "observe/diag.h"
#include "observe/tcp_state.h"
#include "program/kernel.h"

static const char me[] = "run";

enum { OWN_FAILURE = 125, FOUND_SOMETHING = 99 };

/*
 * A recorder of the usual size holds two seconds of a storm: it is looked at four times a second,
 * and the kernel asked for connections in CLOSE_WAIT, as the summary says; more often the recorder
 * alone, where many processors fill it.
 */
enum { SAMPLE_MS = 250, HURRY_MS = 25 };

/* An event may come so late at most that it still finds what is known of its socket. */
enum { FORGET_MS = 10000 };

static bool fail(const char *what)
{
	cli_say(me, "%s: %s", what, strerror(errno));
	return false;
}

/* A % means something in TCPSHIM_LOG. */
static const char *temporary(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder == '/' && strlen(folder) < 200 && !strchr(folder, '%') ? folder
											: "/tmp";
}

static bool make_recorder(struct gate *gate)
{
	struct stat stat_of;

	snprintf(gate->folder, sizeof(gate->folder), "%s/tcpshim-XXXXXX", temporary());
	if (!mkdtemp(gate->folder)) {
		fail(gate->folder);
		*gate->folder = '\0';
		return false;
	}
	snprintf(gate->path, sizeof(gate->path), "%s/recorder", gate->folder);
	snprintf(gate->marks_path, sizeof(gate->marks_path), "%s/marks", gate->folder);
	gate->drain.fd = open(gate->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (gate->drain.fd < 0 || fstat(gate->drain.fd, &stat_of) < 0)
		return fail(gate->path);
	gate->tree.dev = stat_of.st_dev;
	gate->tree.ino = stat_of.st_ino;
	return true;
}

/* With what other builds of the library in the tree have made beside it. */
static void remove_recorder(const struct gate *gate)
{
	DIR *dir = *gate->folder ? opendir(gate->folder) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	if (*gate->folder)
		rmdir(gate->folder);
}

/* What the command's environment needs beside what the user has set. */
static bool set_environment(struct gate *gate)
{
	struct kernel kernel;
	char log[320];

	kernel_ask(&kernel);
	gate->no_places = kernel.no_stacks && !getenv("TCPSHIM_STACK");
	snprintf(log, sizeof(log), "ring:%s", gate->path);
	if (setenv("TCPSHIM_LOG", log, 1) < 0 || unsetenv("TCPSHIM_CALLS") < 0 ||
	    setenv("TCPSHIM_MARKS", gate->marks_path, 1) < 0)
		return fail("the environment");
	if (!kernel.no_stacks && setenv("TCPSHIM_STACK", "1", 0) < 0)
		return fail("the environment");
	if ((gate->options->codes >> GATE_LEFT_OPEN & 1) && setenv("TCPSHIM_REPORT", "1", 1) < 0)
		return fail("the environment");
	return true;
}

static void learn(void *with, int32_t pid)
{
	struct gate *gate = with;

	modules_learn(&gate->modules, pid);
}

static void take_event(const struct event *ev, void *arg)
{
	struct gate *gate = arg;

	findings_event(&gate->findings, ev);
}

static void look(struct gate *gate, bool last)
{
	if (!drain_look(&gate->drain, last, take_event, gate))
		gate->drain_error = errno;
}

static int take_unclosed(const struct diag_sock *sock, void *arg)
{
	struct gate *gate = arg;

	findings_close_wait(&gate->findings, sock, (uint64_t)reader_time());
	return 0;
}

/* A FIN that arrives is no call of the program's: the kernel must be asked. */
static void sample(struct gate *gate)
{
	const struct diag_scope scope = {.protocol = IPPROTO_TCP,
					 .family = AF_UNSPEC,
					 .kernel_states = 1U << TCP_CLOSE_WAIT,
					 .silence = true};
	int rc;

	if (!(gate->options->codes >> GATE_CLOSE_WAIT & 1))
		return;
	rc = diag_dump(&scope, take_unclosed, gate);
	if (rc < 0)
		gate->diag_error = -rc;
}

static int64_t later(int ms)
{
	return reader_now() + ms * INT64_C(1000000);
}

static int take_open(const struct diag_sock *sock, void *arg)
{
	struct gate *gate = arg;

	findings_listed(&gate->findings, sock->cookie);
	return 0;
}

/* Sockets end with their processes, and nobody tells. */
static void forget_gone(struct gate *gate)
{
	const struct diag_scope scope = {
		.protocol = IPPROTO_TCP,
		.family = AF_UNSPEC,
		.kernel_states = ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT)};

	if (!findings_hold_many(&gate->findings) || reader_now() < gate->forget_ns)
		return;
	gate->forget_ns = later(FORGET_MS);
	if (diag_dump(&scope, take_open, gate) == 1)
		findings_forget(&gate->findings);
}

/* Until something is sent to us, or it is time. */
static void wait_for_signals(struct gate *gate, int64_t until_ns)
{
	struct pollfd signals = {.fd = gate->job.signals, .events = POLLIN};
	const int64_t left = until_ns - reader_now();

	poll(&signals, 1, left > 0 ? (int)(left / 1000000) + 1 : 0);
	job_signals(&gate->job);
}

/* At the times that are due; *next is when to come again. */
static void look_on(struct gate *gate, int64_t *next)
{
	if (reader_now() < *next)
		return;
	look(gate, false);
	if (reader_now() >= gate->sample_ns) {
		gate->sample_ns = later(SAMPLE_MS);
		sample(gate);
		forget_gone(gate);
	}
	*next = gate->drain.fills ? later(HURRY_MS) : gate->sample_ns;
}

static void watch(struct gate *gate)
{
	int64_t next = later(SAMPLE_MS);

	while (!gate->job.ended) {
		wait_for_signals(gate, next);
		look_on(gate, &next);
	}
}

/* Who is there still? Those that made their first event meanwhile, too. */
static bool see_who_is_there(struct gate *gate)
{
	tree_end(&gate->tree);
	return tree_begin(&gate->tree, &gate->findings.images);
}

/*
 * Has each whose events are known come to its end, and is all of them read? What an earlier look
 * has left for the next one may be of somebody who has just begun.
 */
static bool is_over(struct gate *gate)
{
	size_t known;

	if (gate->tree.count || !see_who_is_there(gate) || gate->tree.count)
		return false;
	known = gate->findings.images.count;
	look(gate, true);
	return gate->findings.images.count == known;
}

/* The command has ended: the others have the time of grace to do so. */
static void watch_rest(struct gate *gate)
{
	const int64_t end = reader_now() + gate->options->grace_ms * INT64_C(1000000);
	int64_t next = 0;
	bool over;

	/* Nobody may read what is told in the end. */
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		look_on(gate, &next);
		over = is_over(gate);
		if (over || reader_now() >= end || gate->job.hurried)
			break;
		tree_wait(&gate->tree, HURRY_MS);
		job_signals(&gate->job);
	}
	if (over)
		return;
	images_settle(&gate->findings.images);
	look(gate, true);
	see_who_is_there(gate);
}

/* Of many processes many are looked at. The command has its limits from before. */
static void open_many(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static uint64_t own_netns(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const uint64_t netns = fd < 0 ? 0 : sock_netns(fd);

	if (fd >= 0)
		close(fd);
	return netns;
}

static void look_up(struct gate *gate, struct gate_place *place)
{
	const char *path = modules_find(&gate->modules, place->place->module);

	snprintf(place->raw, sizeof(place->raw), "%s+0x%llx", place->place->module,
		 (unsigned long long)place->place->offset);
	if (path &&
	    source_line(path, place->place->offset, place->file, sizeof(place->file), &place->line))
		snprintf(place->at, sizeof(place->at), "%s:%d", place->file, place->line);
	else
		snprintf(place->at, sizeof(place->at), "%s%s%s%s", place->raw,
			 *place->place->symbol ? " (" : "", place->place->symbol,
			 *place->place->symbol ? ")" : "");
}

const struct gate_place *gate_place(struct gate *gate, uint32_t number)
{
	const struct code_place *code = findings_place(&gate->findings, number);
	struct gate_place *place;

	if (!code || !gate->places)
		return NULL;
	place = &gate->places[number - 1];
	place->place = code;
	if (!place->looked_up)
		look_up(gate, place);
	place->looked_up = true;
	return place;
}

bool gate_fails(const struct gate *gate, const struct finding *finding)
{
	return !finding->suppressed && (gate->options->codes >> finding->key.code & 1);
}

uint64_t gate_failures(const struct gate *gate, enum gate_code code)
{
	uint64_t count = 0;

	for (size_t i = 0; i < gate->row_count; i++)
		if (gate->rows[i]->key.code == code && gate_fails(gate, gate->rows[i]))
			count++;
	return count;
}

static void suppress(struct gate *gate, struct finding *row)
{
	const struct gate_place *place = gate_place(gate, row->key.place);
	char prog[sizeof(row->key.prog) + 1];
	const char *names[5];
	size_t count = 0, found;

	if (place) {
		names[count++] = place->at;
		names[count++] = place->raw;
		names[count++] = place->place->module;
		if (*place->place->symbol)
			names[count++] = place->place->symbol;
	}
	names[count] = NULL;
	snprintf(prog, sizeof(prog), "%.*s", (int)sizeof(row->key.prog), row->key.prog);
	found = suppressions_find(&gate->suppressions,
				  gate_code_name((enum gate_code)row->key.code), prog, names);
	row->suppressed = (uint32_t)found;
	if (found)
		gate->suppressions.all[found - 1].used++;
}

/* 99 where something was found that is to fail; else as if nobody had looked. */
static int judge(struct gate *gate)
{
	bool fails = false, told = true;

	findings_finish(&gate->findings);
	marks_read(&gate->marks, gate->marks_path);
	gate->modules.until_ns = (uint64_t)reader_time();
	gate->places = calloc(gate->findings.places.count + 1, sizeof(*gate->places));
	gate->rows = findings_sorted(&gate->findings);
	gate->row_count = gate->rows ? gate->findings.rows.count : 0;
	for (size_t i = 0; i < gate->row_count; i++) {
		suppress(gate, gate->rows[i]);
		fails |= gate_fails(gate, gate->rows[i]);
	}
	gate_text(gate);
	if (gate->options->annotate)
		gate_annotate(gate);
	if (gate->options->junit)
		told = gate_junit(gate);
	if (gate->job.status)
		return gate->job.status;
	if (gate->drain_error || !told)
		return OWN_FAILURE;
	return fails ? FOUND_SOMETHING : 0;
}

static void forget(struct gate *gate)
{
	free(gate->places);
	free(gate->rows);
	if (gate->drain.fd >= 0)
		close(gate->drain.fd);
	tree_end(&gate->tree);
	drain_end(&gate->drain);
	findings_end(&gate->findings);
	modules_end(&gate->modules);
	suppressions_end(&gate->suppressions);
	marks_end(&gate->marks);
	written_close(&gate->junit);
	remove_recorder(gate);
}

/* What is wrong is told before anything runs. */
static bool prepare(struct gate *gate, const char *program)
{
	const struct gate_options *options = gate->options;

	if (options->suppressions &&
	    !suppressions_read(&gate->suppressions, options->suppressions)) {
		cli_say(me, "%s: %s", options->suppressions, gate->suppressions.wrong);
		return false;
	}
	gate->junit = (struct written){.who = me, .path = options->junit, .begins = "<?xml"};
	if (!written_open(&gate->junit))
		return false;
	gate->findings = (struct findings){
		.options = options, .our_netns = own_netns(), .on_found = learn, .with = gate};
	findings_begin(&gate->findings);
	modules_begin(&gate->modules);
	modules_add(&gate->modules, program);
	return make_recorder(gate) && set_environment(gate) &&
	       (job_begin(&gate->job) || fail("signals"));
}

int gate_run(const struct gate_options *options, const char *program, int (*become)(void *with),
	     void *with)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	int status = OWN_FAILURE;

	if (!gate) {
		fail("memory");
		return OWN_FAILURE;
	}
	gate->options = options;
	gate->drain.fd = -1;
	if (prepare(gate, program)) {
		fflush(NULL);
		if (job_start(&gate->job, become, with)) {
			open_many();
			watch(gate);
			status = gate->job.status;
			if (!job_failed(&gate->job)) {
				watch_rest(gate);
				status = judge(gate);
			}
		} else {
			fail("fork");
		}
	}
	forget(gate);
	free(gate);
	return status;
}
