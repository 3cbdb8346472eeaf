/* SPDX-License-Identifier: MIT */
/*
 * main.c - tcpshim: a table of subcommands, and how one of them is chosen.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "program/reach.h"

static const struct subcommand {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *about;
} subcommands[] = {
#define SUBCOMMAND(name, about) {#name, name##_main, about},
#include "subcommands.def"
};

enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

static int help(void)
{
	puts("Usage: tcpshim SUBCOMMAND [OPTION...] [ARGUMENT...]\n"
	     "Restart a TCP server at once, and see what becomes of its sockets.\n");
	for (int i = 0; i < SUBCOMMANDS; i++)
		printf("  %-10s %s\n", subcommands[i].name, subcommands[i].about);
	puts("\n  -h, --help     show this; after a subcommand: show its options\n"
	     "  -V, --version  show the version\n"
	     "\n"
	     "The exit status is 0 where all went well, 1 where the answer is no, 2 after\n"
	     "wrong usage. The manual: man tcpshim.");
	return STATUS_FINE;
}

static bool is(const char *word, const char *letter, const char *name)
{
	return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

static const struct subcommand *find(const char *word)
{
	for (int i = 0; word && i < SUBCOMMANDS; i++)
		if (strcmp(word, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

static int refuse_subcommand(const char *word)
{
	static const char *const names[] = {
#define SUBCOMMAND(name, about) #name,
#include "subcommands.def"
		"help",
	};
	char wrong[512], program[PATH_MAX];

	if (!*word || !reach_find(word, program))
		return cli_unknown(NULL, "subcommand", word, names,
				   sizeof(names) / sizeof(names[0]));
	snprintf(wrong, sizeof(wrong),
		 "%.200s is no subcommand; to run the program: tcpshim run %.200s", word, word);
	return cli_usage(NULL, wrong);
}

static int refuse(const char *word)
{
	return *word == '-' ? cli_unknown(NULL, "option", word, NULL, 0) : refuse_subcommand(word);
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	char *const asked = argc > 2 ? argv[2] : NULL;
	char *for_help[] = {asked, (char[]){"--help"}, NULL};

	if (!word)
		return cli_usage(NULL, "no subcommand is given");
	if (strcmp(word, "help") == 0 && find(asked))
		return find(asked)->main(2, for_help);
	if (strcmp(word, "help") == 0 && asked)
		return refuse(asked);
	if (is(word, "-h", "--help") || strcmp(word, "help") == 0)
		return help();
	if (is(word, "-V", "--version"))
		return cli_version();
	return find(word) ? find(word)->main(argc - 1, argv + 1) : refuse(word);
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
