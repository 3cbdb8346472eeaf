/*
 * run_options.h - the options of tcpshim run: words in, values out; nothing is read or written.
 */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

enum {
	SETTINGS = 0
#define SETTING(variable, name, accepted, otherwise) +1
#include "reuse/settings.def"
};

enum run_wish { RUN_COMMAND, RUN_HELP, RUN_VERSION, RUN_WRONG };

struct run_options {
	const char *values[SETTINGS]; /* in the order of settings.def; NULL: not given */
	char **command;		      /* with its arguments, up to a NULL */
	char wrong[512];	      /* RUN_WRONG: what is wrong, a line */
};

/*
 * Read argv; argv[0] is not looked at. The values are understood by the library's own parsers.
 * They and the command point into argv.
 */
enum run_wish run_options_parse(struct run_options *options, int argc, char **argv);

/* The options on standard output, two lines each. */
void run_options_list(void);

#endif
