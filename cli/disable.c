/* SPDX-License-Identifier: MIT */
/*
 * disable.c - tcpshim disable: takes away what tcpshim enable has made for a service.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "program/unit.h"

static const char me[] = "disable";

static int help(void)
{
	puts("Usage: tcpshim disable [OPTION...] UNIT\n"
	     "Take away the drop-in that tcpshim enable has made for a service of systemd.\n"
	     "The service goes on as it is until it is restarted.\n"
	     "\n"
	     "  --root=DIR  of the system in that folder\n"
	     "  -h, --help, -V, --version\n"
	     "\n"
	     "The exit status is 0, or 1 where there was none or it can't be removed; 2 after\n"
	     "wrong usage.");
	return STATUS_FINE;
}

static int take_away(struct unit *unit)
{
	char *name = strrchr(unit->drop_in, '/');

	if (unit->taken) {
		cli_say(me, "%s is none of tcpshim's: it is not removed", unit->drop_in);
		return STATUS_NO;
	}
	if (unlink(unit->drop_in) < 0) {
		if (errno == ENOENT)
			cli_say(me, "%s is not enabled: no %s", unit->name, unit->drop_in);
		else
			cli_say(me, "%s: %s", unit->drop_in, strerror(errno));
		return STATUS_NO;
	}
	printf("removed %s\n", unit->drop_in);
	*name = '\0';
	rmdir(unit->drop_in); /* others' drop-ins may be there */
	unit_reload(unit);
	return STATUS_FINE;
}

static int disable(const char *name, const char *root)
{
	struct unit unit;
	char why[PATH_MAX];
	int status;

	/* Also of one whose own file is gone. */
	if (unit_find(&unit, name, root, why) || unit.ours) {
		status = take_away(&unit);
	} else {
		cli_say(me, "%s", why);
		status = STATUS_NO;
	}
	unit_forget(&unit);
	return status;
}

int disable_main(int argc, char **argv)
{
	enum { ROOT = 256 };
	static const struct option options[] = {
		{"root", required_argument, NULL, ROOT},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);
	const char *root = "";
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (option == 'V')
			return cli_version();
		if (option != ROOT) {
			cli_refused(&wrong, option, argv, options);
			*wrong.at = '\0';
			return cli_usage(me, text);
		}
		root = optarg;
	}
	if (argc - optind != 1)
		return cli_usage(me, "one UNIT is to be given");
	return disable(argv[optind], root);
}
