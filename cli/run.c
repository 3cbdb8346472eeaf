/*
 * run.c - tcpshim run: sets the environment of the shim and becomes the program.
 *
 * No child: pid, parent, signals, job control and exit status are the program's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "facts/settings.h"
#include "preload.h"
#include "reach.h"
#include "run_options.h"

static const char me[] = "run";

/* As env(1) and timeout(1) have it: else it would be taken for the program's. */
enum { OWN_FAILURE = 125, CANT_EXECUTE = 126, NOT_FOUND = 127 };

static int help(void)
{
	puts("Usage: tcpshim run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	     "Run a program under libreuse.so, which sets SO_REUSEADDR before each bind of a\n"
	     "TCP socket. Nothing else happens, and nothing is printed, unless an option asks\n"
	     "for it (--log=stderr shows every socket call).\n"
	     "\n"
	     "Each option sets an environment variable, whatever it was before:");
	run_options_list();
	puts("\n"
	     "The exit status is the program's own; 125 where tcpshim itself fails, 126 where\n"
	     "the program can't be executed, 127 where it is not found, 2 after wrong usage.");
	return STATUS_FINE;
}

static int out_of_memory(void)
{
	cli_say(me, "no memory for the environment");
	return OWN_FAILURE;
}

static bool set_preload(const char *library)
{
	char *list = preload_list(getenv("LD_PRELOAD"), library);
	const bool good = list && setenv("LD_PRELOAD", list, 1) == 0;

	free(list);
	return good;
}

/* Say so where the program will not be under the shim. It runs all the same. */
static enum reach warn(const char *program, const char *library)
{
	char path[PATH_MAX];
	enum reach reach;

	snprintf(path, sizeof(path), "%s", program);
	reach = reach_of(path, library);
	if (reach != REACH_YES)
		cli_say(me, "%s %s: %s", path, reach_words(reach), reach_effect(reach));
	return reach;
}

/* What was not found or can't be executed, execvp tells. */
static int become(char **command, const char *program, enum reach reach)
{
	int err;

	/* Another machine's program may run by binfmt_misc; execvp would give it to a shell. */
	if (reach == REACH_MACHINE)
		execv(program, command);
	else
		execvp(command[0], command);
	err = errno;
	cli_say(me, "%s: %s", command[0], strerror(err));
	return err == ENOENT ? NOT_FOUND : CANT_EXECUTE;
}

static int run(const struct run_options *options)
{
	char library[PATH_MAX], program[PATH_MAX], why[4 * PATH_MAX];
	enum reach reach = REACH_YES;

	if (!preload_find(library, why)) {
		cli_say(me, "%s", why);
		return OWN_FAILURE;
	}
	if (reach_find(options->command[0], program))
		reach = warn(program, library);
	if (!run_options_apply(options) || !set_preload(library))
		return out_of_memory();
	return become(options->command, program, reach);
}

int run_main(int argc, char **argv)
{
	struct run_options options;

	switch (run_options_parse(&options, RUN_RUN, argc, argv)) {
	case RUN_HELP:
		return help();
	case RUN_VERSION:
		return cli_version();
	case RUN_WRONG:
		return cli_usage(me, options.wrong);
	case RUN_COMMAND:
		break;
	}
	return run(&options);
}
