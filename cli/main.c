/*
 * main.c - tcpshim: a table of subcommands, and how one of them is chosen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct subcommand {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *about;
} subcommands[] = {
	{"run", run_main, "run a program under libreuse.so"},
	{"why", why_main, "say who has a port, and whether a bind would work"},
	{"dump", dump_main, "print what a flight recorder has kept"},
};

enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

static int help(void)
{
	puts("Usage: tcpshim SUBCOMMAND [OPTION...] [ARGUMENT...]\n"
	     "Restart a TCP server at once, and see what becomes of its sockets.\n");
	for (int i = 0; i < SUBCOMMANDS; i++)
		printf("  %-10s %s\n", subcommands[i].name, subcommands[i].about);
	puts("\n  --help     show this; after a subcommand: show its options\n"
	     "  --version  show the version\n"
	     "\n"
	     "The exit status is 0 where all went well, 1 where the answer is no, 2 after wrong\n"
	     "usage. The manual: man tcpshim.");
	return STATUS_FINE;
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	char wrong[256];

	if (!word)
		return cli_usage(NULL, "no subcommand is given");
	if (strcmp(word, "--help") == 0)
		return help();
	if (strcmp(word, "--version") == 0)
		return cli_version();
	for (int i = 0; i < SUBCOMMANDS; i++)
		if (strcmp(word, subcommands[i].name) == 0)
			return subcommands[i].main(argc - 1, argv + 1);

	snprintf(wrong, sizeof(wrong), "%s is no %s", word, *word == '-' ? "option" : "subcommand");
	return cli_usage(NULL, wrong);
}

int main(int argc, char **argv)
{
	const int status = dispatch(argc, argv);

	/* What could not be written was not said. */
	if (fflush(stdout) || ferror(stdout)) {
		cli_say(NULL, "standard output: %s", strerror(errno));
		return status ? status : STATUS_USAGE;
	}
	return status;
}
