/* SPDX-License-Identifier: MIT */
/*
 * check.c - tcpshim check: would the library reach a command, and what would it find here?
 *
 * Nothing is run, and nothing is made. The process takes on what the command would begin with,
 * its user and its environment, and then looks.
 */
#include "check/check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "check/wrapper.h"
#include "cli.h"
#include "program/preload.h"

static const char me[] = "check";

static int help(void)
{
	puts("Usage: tcpshim check [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	     "Say whether libreuse.so would reach a command under tcpshim run; if not, why,\n"
	     "and what to do instead; and what it would find on this machine. Nothing is run.\n"
	     "\n"
	     "  --json       all of it as an object of JSON\n"
	     "  --user=NAME  for that user (wants root)\n"
	     "  -h, --help, -V, --version\n"
	     "\n"
	     "The other options are those of tcpshim run: --log=WHERE says whether the log\n"
	     "could be written there. What run has as --json is --format=json here.\n"
	     "\n"
	     "The exit status is 0 where the command is reached; 1 where it is not, or in part\n"
	     "only, or nothing could be logged; 2 after wrong usage.");
	return STATUS_FINE;
}

/* False: told why not. */
static bool become_user(const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user) {
		cli_say(me, "--user=%s: there is no such user", name);
		return false;
	}
	if (user->pw_uid == geteuid())
		return true;
	if (initgroups(name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0) {
		cli_say(me, "--user=%s: %s", name, strerror(errno));
		return false;
	}
	return true;
}

static void know_user(struct check *check)
{
	const struct passwd *user = getpwuid(geteuid());

	check->uid = geteuid();
	snprintf(check->user, sizeof(check->user), "%s", user ? user->pw_name : "?");
}

/* ld.so maps it, with its code. */
static const char *library_fault(const char *library)
{
	struct statvfs disk;

	if (access(library, R_OK) < 0)
		return strerror(errno);
	if (statvfs(library, &disk) == 0 && (disk.f_flag & ST_NOEXEC))
		return "nothing on that file system may be executed (noexec)";
	return NULL;
}

static void read_settings(struct check *check)
{
	settings_init(&check->set);
	for (int i = 0; i < SETTINGS; i++) {
		const char *value = getenv(settings_table[i].variable);

		if (!value || !*value)
			continue;
		check->values[i] = value;
		check->refused[i] = !settings_table[i].parse(&check->set, value);
	}
}

static bool begin_as_run(const struct run_options *options, const char *library)
{
	char *list = preload_list(getenv("LD_PRELOAD"), library);
	const bool good = list && run_options_apply(options) && setenv("LD_PRELOAD", list, 1) == 0;

	free(list);
	return good;
}

static int check_command(const struct run_options *options)
{
	static struct check check;
	static struct check_verdict verdict;
	char program[PATH_MAX], why[4 * PATH_MAX];

	if (!preload_find(check.library, why)) {
		cli_say(me, "%s", why);
		return STATUS_USAGE;
	}
	if (options->user && !become_user(options->user))
		return STATUS_USAGE;
	if (reach_find(options->command[0], program))
		preload_choose(program, check.library);
	if (!begin_as_run(options, check.library)) {
		cli_say(me, "no memory for the environment");
		return STATUS_USAGE;
	}
	check.command = options->command[0];
	check.library_fault = library_fault(check.library);
	know_user(&check);
	kernel_ask(&check.kernel);
	chain_follow(&check.chain, options->command, check.library);
	read_settings(&check);
	log_place_judge(&check.log, &check.set, check.chain.prog);
	check_judge(&verdict, &check);
	(options->json ? check_print_json : check_print_text)(&check, &verdict);
	wrapper_free();
	return verdict.answer == ANSWER_YES ? STATUS_FINE : STATUS_NO;
}

int check_main(int argc, char **argv)
{
	return run_options_main(&(struct run_subcommand){RUN_CHECK, me, help, check_command}, argc,
				argv);
}
