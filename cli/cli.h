/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what the subcommands of tcpshim share.
 *
 * A subcommand is a row of subcommands.def, and a file of cli/ with its name.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>

#include "facts/out.h"

/* The exit status of tcpshim itself. */
enum status {
	STATUS_FINE = 0,
	STATUS_NO = 1, /* the answer to a question */
	STATUS_USAGE = 2,
};

/* The subcommands: argv[0] is the subcommand's own name. Return the exit status. */
#define SUBCOMMAND(name, about) int name##_main(int argc, char **argv);
#include "subcommands.def"

/*
 * One line on standard error, "tcpshim NAME: …" (no name: "tcpshim: …"). What the user gave may
 * be in it as it is: control characters are replaced.
 */
__attribute__((format(printf, 2, 3))) void cli_say(const char *name, const char *format, ...);

/* Wrong usage: say what is wrong. Return STATUS_USAGE. */
int cli_usage(const char *name, const char *wrong);

/* The same of a word that is none of that kind; one of count words was probably meant. */
int cli_unknown(const char *name, const char *kind, const char *word, const char *const *words,
		size_t count);

/* "tcpshim VERSION" on standard output. Return STATUS_FINE. */
int cli_version(void);

/*
 * What getopt_long refused by '?' or ':' in words. It must have been told to be silent
 * (opterr = 0) and to tell the two apart (":" in front), and the long options' val be above 255,
 * or the letter of the short one.
 */
void cli_refused(struct out *out, int refused, char **argv, const struct option *options);

#endif
