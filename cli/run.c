/* SPDX-License-Identifier: MIT */
/*
 * run.c - tcpshim run: sets the environment of the shim and becomes the program.
 *
 * No child: pid, parent, signals, job control and exit status are the program's own. But for a
 * gate (gate.c), which must be there when the program has ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "facts/settings.h"
#include "gate/gate.h"
#include "program/preload.h"
#include "program/reach.h"
#include "run_options.h"
#include "supervise/supervise.h"

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
	run_options_list(RUN_RUN);
	puts("\n"
	     "The exit status is the program's own; 125 where tcpshim itself fails, 126 where\n"
	     "the program can't be executed, 127 where it is not found, 2 after wrong usage.\n"
	     "With --fail-on it is 99 where something is found and the program's own is 0; and\n"
	     "128 and the signal's number where one has ended the program.");
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

/* Two libraries would tell each event twice: who is followed, and all that it starts, has none. */
static bool unset_preload(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *list = before ? preload_list_without(before, library) : NULL;
	const bool good =
		!before ||
		(list && (*list ? setenv("LD_PRELOAD", list, 1) : unsetenv("LD_PRELOAD")) == 0);

	free(list);
	return good;
}

/*
 * The program that is to be executed, and how. what: the program that the verdict is about, which
 * of a script is its interpreter.
 */
struct command {
	char **words;
	const char *program, *library;
	enum reach reach;
	enum supervise_wish supervise;
	char what[PATH_MAX];
};

static void judge(struct command *command)
{
	snprintf(command->what, sizeof(command->what), "%s", command->program);
	command->reach = reach_of(command->what, command->library);
}

static bool is_set(const char *variable, const char *otherwise)
{
	const char *value = getenv(variable);

	return value && *value && strcmp(value, otherwise) != 0;
}

/*
 * Is it to be followed? Of those that the library can't be loaded into: not where that would take
 * more from them than the user may know of, for a rescue that he may not need.
 */
static bool is_to_be_followed(const struct command *command)
{
	if (command->supervise == SUPERVISE_NONE || command->reach == REACH_MACHINE ||
	    command->reach == REACH_PRIVILEGED)
		return false;
	if (command->supervise == SUPERVISE_ANY)
		return true;
	return (command->reach == REACH_STATIC || command->reach == REACH_GO) &&
	       (supervise_is_privileged() || is_set("TCPSHIM_LOG", "off") ||
		is_set("TCPSHIM_REPORT", "0"));
}

/* Say what following it changes. */
static void tell_followed(const struct command *command, bool no_new_privs)
{
	const bool reached = command->reach == REACH_YES;

	cli_say(me,
		"%s %s%sruns under a supervisor (no debugger can attach to it; whoever kills the "
		"supervisor kills it, too%s)",
		command->what, reached ? "" : reach_words(command->reach), reached ? "" : ": it ",
		no_new_privs ? "; setuid programs gain nothing in it" : "");
}

/* And say so where the program will not be under the shim at all. It runs all the same. */
static void tell_unreached(const struct command *command, const char *fault)
{
	const char *hint = "";

	if (!fault && command->supervise == SUPERVISE_UNREACHED &&
	    (command->reach == REACH_STATIC || command->reach == REACH_GO))
		hint = " (--supervise follows it from outside)";
	if (fault && command->reach == REACH_YES)
		cli_say(me, "%s can't be followed from outside: %s", command->what, fault);
	else if (command->reach != REACH_YES)
		cli_say(me, "%s %s: %s%s%s%s", command->what, reach_words(command->reach),
			reach_effect(command->reach), hint,
			fault ? "; nor can it be followed from outside: " : "", fault ? fault : "");
}

/* From outside, where that is to be and can be; else by the library, as far as that goes. */
static bool arrange(const struct command *command)
{
	const pid_t follower = supervise_follower();
	const char *fault = NULL;
	bool no_new_privs;

	if (follower) {
		cli_say(me,
			"the supervisor of an outer tcpshim run (process %d) follows it already",
			follower);
		return unset_preload(command->library);
	}
	if (is_to_be_followed(command)) {
		fault = supervise_begin(&no_new_privs);
		if (!fault) {
			tell_followed(command, no_new_privs);
			return unset_preload(command->library);
		}
	}
	tell_unreached(command, fault);
	return set_preload(command->library);
}

/* What was not found or can't be executed, execvp tells. */
static int become(void *with)
{
	const struct command *command = with;
	int err;

	if (!(*command->program ? arrange(command) : set_preload(command->library)))
		return out_of_memory();
	/* Another machine's program may run by binfmt_misc; execvp would give it to a shell. */
	if (command->reach == REACH_MACHINE)
		execv(command->program, command->words);
	else
		execvp(command->words[0], command->words);
	err = errno;
	cli_say(me, "%s: %s", command->words[0], strerror(err));
	return err == ENOENT ? NOT_FOUND : CANT_EXECUTE;
}

/* --fail-on LIST: the list was taken for the command. */
static int refuse_list(const char *word)
{
	char wrong[500];

	snprintf(wrong, sizeof(wrong), "%.200s is no command; to fail on it: --fail-on=%.200s",
		 word, word);
	return cli_usage(me, wrong);
}

static int run(const struct run_options *options)
{
	char library[PATH_MAX], program[PATH_MAX] = "", why[4 * PATH_MAX];
	struct command command = {
		.words = options->command,
		.program = program,
		.library = library,
		.reach = REACH_YES,
		.supervise = options->supervise,
	};

	if (!preload_find(library, why)) {
		cli_say(me, "%s", why);
		return OWN_FAILURE;
	}
	if (reach_find(options->command[0], program)) {
		preload_choose(program, library);
		judge(&command);
	} else if (options->gate.on && gate_options_is_list(options->command[0])) {
		return refuse_list(options->command[0]);
	} else {
		*program = '\0';
	}
	if (!run_options_apply(options))
		return out_of_memory();
	if (options->gate.on)
		return gate_run(&options->gate, program, become, &command);
	return become(&command);
}

int run_main(int argc, char **argv)
{
	return run_options_main(&(struct run_subcommand){RUN_RUN, me, help, run}, argc, argv);
}
