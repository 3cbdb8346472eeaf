/* SPDX-License-Identifier: MIT */
/*
 * demo.c - tcpshim demo: a tutorial of TCP's states, played on the reader's own kernel.
 *
 * It becomes itself once more, under the library, which logs to a pipe: then the steps (steps.h)
 * make their calls, and tell what the library has said of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "demo/actors.h"
#include "demo/steps.h"
#include "facts/reader.h"
#include "program/preload.h"

static const char me[] = "demo";

static const struct step {
	void (*play)(struct stage *stage);
	const char *name, *about;
} steps[] = {
#define STEP(function, name, about) {step_##function, name, about},
#include "demo/steps.def"
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static void list_steps(void)
{
	for (int i = 0; i < STEPS; i++)
		printf("  %-20s%s\n", steps[i].name, steps[i].about);
	printf("  %-20s%s\n", "all", "all of them, in this order");
}

static int help(void)
{
	puts("Usage: tcpshim demo [OPTION...] [STEP...]\n"
	     "See what TCP's states are, and which calls lead to them, on this machine's own\n"
	     "kernel: real sockets on 127.0.0.1, on ports that the kernel chooses. Of each\n"
	     "call: the line that TCPSHIM_LOG makes of it; then the state at both ends, and\n"
	     "the line that ss prints of it (asked of sock_diag, as ss does). Without a STEP\n"
	     "the steps are listed.\n");
	list_steps();
	puts("\n"
	     "  -s, --step-by-step\n"
	     "          wait for ENTER behind each sentence: time to look with ss\n"
	     "  --markdown\n"
	     "          as a page\n"
	     "  -h, --help, -V, --version\n"
	     "\n"
	     "The exit status is 0, 1 where a step has not shown what it says; 2 after wrong\n"
	     "usage.");
	return STATUS_FINE;
}

static const struct step *find(const char *name)
{
	for (int i = 0; i < STEPS; i++)
		if (strcmp(steps[i].name, name) == 0)
			return &steps[i];
	return NULL;
}

static int refuse_step(const char *word)
{
	const char *names[STEPS];

	for (int i = 0; i < STEPS; i++)
		names[i] = steps[i].name;
	return cli_unknown(me, "step", word, names, STEPS);
}

static bool is_all(const char *word)
{
	return strcmp(word, "all") == 0;
}

/* --- Under the library --- */

/*
 * Each in a process of its own, as servers and clients are: some of what the library explains it
 * explains once a second in a process.
 */
static int play_step(struct stage *stage, const struct step *step)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = stage_must(fork(), "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stage_title(stage, step->name, step->about);
		step->play(stage);
		exit(STATUS_FINE);
	}
	stage_must(waitpid(pid, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_NO;
}

static int play_steps(struct stage *stage, char **names)
{
	int status = STATUS_FINE;
	bool first = true;

	for (; *names; names++)
		for (int i = 0; i < STEPS && status == STATUS_FINE; i++) {
			if (!is_all(*names) && &steps[i] != find(*names))
				continue;
			if (!first && !stage->markdown)
				puts("\n");
			first = false;
			status = play_step(stage, &steps[i]);
		}
	return status == STAGE_LEFT ? STATUS_FINE : status;
}

/* What become() says to itself: the pipe's ends. No option, since nobody else may. */
#define EVENTS "--events="

/* The pipe, as become_player has made it; of its other end the library has a copy. */
static bool take_pipe(struct stage *stage, const char *events)
{
	int log;

	if (sscanf(events, "%d,%d", &stage->events, &log) != 2 || close(log) < 0 ||
	    fcntl(stage->events, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(stage->events, F_SETFD, FD_CLOEXEC) < 0) {
		cli_say(me, EVENTS "%s is for tcpshim itself", events);
		return false;
	}
	return true;
}

static int play(struct stage *stage, const char *events, char **names)
{
	if (!take_pipe(stage, events))
		return STATUS_USAGE;
	stage->colored = !stage->markdown && reader_wants_color(COLOR_AUTO, isatty(STDOUT_FILENO),
								getenv("NO_COLOR"), getenv("TERM"));
	/* The steps read it by turns. */
	setvbuf(stdin, NULL, _IONBF, 0);
	return play_steps(stage, names);
}

/* --- And before --- */

/* No setting of the user's: the calls are to show what they do by themselves. */
static bool set_environment(const char *library, int log)
{
	char *list = preload_list(getenv("LD_PRELOAD"), library);
	char place[32];
	bool good;

	for (unsigned int i = 0; i < settings_count; i++)
		unsetenv(settings_table[i].variable);
	snprintf(place, sizeof(place), "/dev/fd/%d", log);
	good = list && setenv("LD_PRELOAD", list, 1) == 0 && setenv("TCPSHIM_LOG", place, 1) == 0 &&
	       setenv("TCPSHIM_REUSE", "off", 1) == 0;
	free(list);
	return good;
}

/* The same words once more, with the pipe. By its path: then the program keeps its name. */
static void become(int argc, char **argv, const char *library)
{
	char **words = calloc((size_t)argc + 3, sizeof(*words));
	char own[PATH_MAX], events[64];
	int fds[2];

	high_pipe(fds);
	snprintf(events, sizeof(events), EVENTS "%d,%d", fds[0], fds[1]);
	if (words && set_environment(library, fds[1]) && realpath("/proc/self/exe", own)) {
		words[0] = (char[]){"tcpshim"};
		words[1] = argv[0];
		words[2] = events;
		memcpy(words + 3, argv + 1, (size_t)(argc - 1) * sizeof(*words));
		execv(own, words);
	}
	cli_say(me, "%s", strerror(errno));
	free(words);
}

static int become_player(int argc, char **argv)
{
	char library[PATH_MAX], why[4 * PATH_MAX];

	if (preload_find(library, why))
		become(argc, argv, library);
	else
		cli_say(me, "%s", why);
	return STATUS_NO;
}

/* The first word, where become_player has put it there; NULL where it has not. */
static const char *take_events(int *argc, char ***argv)
{
	const char *word = *argc > 1 ? (*argv)[1] : "";

	if (strncmp(word, EVENTS, sizeof(EVENTS) - 1) != 0)
		return NULL;
	--*argc;
	++*argv;
	return word + sizeof(EVENTS) - 1;
}

int demo_main(int argc, char **argv)
{
	enum { MARKDOWN = 256 };
	static const struct option options[] = {
		{"step-by-step", no_argument, NULL, 's'},
		{"markdown", no_argument, NULL, MARKDOWN},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct stage stage = {0};
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);
	const char *events = take_events(&argc, &argv);
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":shV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			stage.by_hand = true;
			break;
		case MARKDOWN:
			stage.markdown = true;
			break;
		case 'h':
			return help();
		case 'V':
			return cli_version();
		default:
			cli_refused(&wrong, option, argv, options);
			*wrong.at = '\0';
			return cli_usage(me, text);
		}
	}
	for (int i = optind; i < argc; i++)
		if (!is_all(argv[i]) && !find(argv[i]))
			return refuse_step(argv[i]);
	if (optind == argc) {
		puts("The steps, best read in this order; tcpshim demo STEP plays one:\n");
		list_steps();
		return STATUS_FINE;
	}
	if (events)
		return play(&stage, events, argv + optind);
	return become_player(argc, argv);
}
