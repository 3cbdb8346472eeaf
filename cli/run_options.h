/* SPDX-License-Identifier: MIT */
/*
 * run_options.h - the options of tcpshim run, which check and enable have, too: words in, values
 * out.
 */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include <stdbool.h>

#include "gate/gate_options.h"

enum {
	SETTINGS = 0
#define SETTING(variable, name, accepted, otherwise) +1
#include "reuse/settings.def"
};

/* For which subcommand: that of another one is no option. */
enum run_kind { RUN_RUN, RUN_CHECK, RUN_UNIT };

/* Which programs a supervisor follows: those that the library can't be loaded into, all, none. */
enum supervise_wish { SUPERVISE_UNREACHED, SUPERVISE_ANY, SUPERVISE_NONE };

enum run_wish { RUN_COMMAND, RUN_HELP, RUN_VERSION, RUN_WRONG };

struct run_options {
	const char *values[SETTINGS];  /* in the order of settings.def; NULL: not given */
	bool json;		       /* RUN_CHECK: --json */
	const char *user;	       /* RUN_CHECK: --user */
	const char *root;	       /* RUN_UNIT: --root */
	struct gate_options gate;      /* RUN_RUN: --fail-on, and what belongs to it */
	enum supervise_wish supervise; /* RUN_RUN */
	char **command;		       /* with its arguments, up to a NULL; RUN_UNIT: the unit */
	char wrong[512];	       /* RUN_WRONG: what is wrong, a line */
};

/*
 * Read argv; argv[0] is not looked at. The values are understood by the library's own parsers.
 * They and the command point into argv.
 */
enum run_wish run_options_parse(struct run_options *options, enum run_kind kind, int argc,
				char **argv);

/* What a subcommand with these options does: the status of each. */
struct run_subcommand {
	enum run_kind kind;
	const char *name;
	int (*help)(void);
	int (*work)(const struct run_options *options);
};

/* Its main: reads the words, and tells what is wrong with them. */
int run_options_main(const struct run_subcommand *is, int argc, char **argv);

/* Set the variables. False where memory is out. */
bool run_options_apply(const struct run_options *options);

/* The options of that subcommand on standard output; a setting has two lines, or three. */
void run_options_list(enum run_kind kind);

#endif
