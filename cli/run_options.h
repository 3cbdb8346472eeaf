/*
 * run_options.h - the options of tcpshim run, which tcpshim check has, too: words in, values out.
 */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include <stdbool.h>

enum {
	SETTINGS = 0
#define SETTING(variable, name, accepted, otherwise) +1
#include "reuse/settings.def"
};

/* For which subcommand: that of another one is no option. */
enum run_kind { RUN_RUN, RUN_CHECK };

enum run_wish { RUN_COMMAND, RUN_HELP, RUN_VERSION, RUN_WRONG };

struct run_options {
	const char *values[SETTINGS]; /* in the order of settings.def; NULL: not given */
	bool json;		      /* RUN_CHECK: --json */
	const char *user;	      /* RUN_CHECK: --user */
	char **command;		      /* with its arguments, up to a NULL */
	char wrong[512];	      /* RUN_WRONG: what is wrong, a line */
};

/*
 * Read argv; argv[0] is not looked at. The values are understood by the library's own parsers.
 * They and the command point into argv.
 */
enum run_wish run_options_parse(struct run_options *options, enum run_kind kind, int argc,
				char **argv);

/* Set the variables. False where memory is out. */
bool run_options_apply(const struct run_options *options);

/* The options on standard output, two lines each. */
void run_options_list(void);

#endif
