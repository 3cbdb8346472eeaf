/* SPDX-License-Identifier: MIT */
/*
 * why.c - tcpshim why: who has a port, and would a bind to it work now, without
 * SO_REUSEADDR and with it?
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "events/decimal.h"
#include "why/await.h"
#include "why/why.h"

static const char me[] = "why";

enum { JSON = 256, WAIT, KILL_DYING };

/* For --wait alone, and at most. */
enum { WAIT_S = 120, LONGEST_WAIT_S = 86400 };

struct ways {
	bool json, waits, kills;
	uint32_t wait_s;
};

static int help(void)
{
	puts("Usage: tcpshim why [OPTION...] [PORT | ADDRESS:PORT | NAME:PORT]\n"
	     "Say who has a TCP port, and whether a bind to it would work now, without\n"
	     "SO_REUSEADDR and with it. Without an address: of 0.0.0.0 and of [::].\n"
	     "Without a port: who listens on this machine, and which ports are held by\n"
	     "connections that nobody has any more.\n"
	     "\n"
	     "The port is a number or the name of a service. An IPv6 address stands in\n"
	     "brackets.\n"
	     "\n"
	     "  --json           all of it as one object of JSON\n"
	     "  --wait[=S]       until a bind with SO_REUSEADDR would work, at most S\n"
	     "                   seconds (120)\n"
	     "  --kill-dying     end connections that nobody has any more and that have\n"
	     "                   nothing left to send; wants root\n"
	     "  -h, --help, -V, --version\n"
	     "\n"
	     "The exit status is 0 where a bind with SO_REUSEADDR would work, else 1; 2 after\n"
	     "wrong usage.");
	return STATUS_FINE;
}

/* What there is to tell is there: tell it. */
static void print(const struct why *why, const struct ways *ways)
{
	if (ways->json)
		why_print_json(why);
	else if (why->port.number)
		why_print_rest(why);
	else
		why_print_list(why);
}

/* What is to be done before the answer is the answer. Return 0 or -errno. */
static int ask(struct why *why, const struct where *where, const struct ways *ways)
{
	int rc = why_ask(why, where);

	if (rc == 0 && ways->kills) {
		why_kill_dying(why);
		rc = why_ask(why, where);
	}
	return rc == 0 && ways->waits ? why_await(why, where, ways->wait_s) : rc;
}

static int answer(const struct where *where, const struct ways *ways)
{
	struct why why = {.most_processes = ways->json || !where ? WHY_MANY : WHY_FEW};
	const bool at_once = where && !ways->json && !ways->waits && !ways->kills;
	int status = STATUS_USAGE, rc;

	if (at_once && why_ask_listeners(&why, where))
		why_print_first(&why);
	rc = ask(&why, where, ways);
	if (rc == 0 && where && !ways->json)
		why_print_first(&why);
	if (rc == 0)
		rc = why_find_owners(&why);
	if (rc < 0) {
		cli_say(me, "sock_diag: %s", strerror(-rc));
	} else {
		print(&why, ways);
		status = why_works(&why) ? STATUS_FINE : STATUS_NO;
	}
	why_end(&why);
	return status;
}

static int why(const char *text, const struct ways *ways)
{
	char said[512];
	struct out wrong = out_into(said, sizeof(said) - 1);
	struct where where;
	bool good;

	out_mem(&wrong, text, strnlen(text, 200));
	out_str(&wrong, ": ");
	good = where_parse(&where, text, &wrong);
	*wrong.at = '\0';
	return good ? answer(&where, ways) : cli_usage(me, said);
}

static bool take_seconds(const char *text, uint32_t *ret, struct out *wrong)
{
	uint64_t seconds = WAIT_S;

	if (text && !decimal(text, LONGEST_WAIT_S, &seconds)) {
		out_str(wrong, "--wait=");
		out_plain(wrong, text, strnlen(text, 100));
		out_str(wrong, " is not understood (accepted: seconds, 0 to 86400)");
		return false;
	}
	*ret = (uint32_t)seconds;
	return true;
}

int why_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"json", no_argument, NULL, JSON},
		{"wait", optional_argument, NULL, WAIT},
		{"kill-dying", no_argument, NULL, KILL_DYING},
		{0},
	};
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);
	struct ways ways = {0};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			return help();
		case 'V':
			return cli_version();
		case JSON:
			ways.json = true;
			break;
		case WAIT:
			ways.waits = true;
			if (take_seconds(optarg, &ways.wait_s, &wrong))
				break;
			*wrong.at = '\0';
			return cli_usage(me, text);
		case KILL_DYING:
			ways.kills = true;
			break;
		default:
			cli_refused(&wrong, option, argv, options);
			*wrong.at = '\0';
			return cli_usage(me, text);
		}
	}
	if (argc - optind > 1)
		return cli_usage(me, ways.waits ? "one PORT is to be given, and seconds as --wait=S"
						: "one PORT is to be given");
	if (argc == optind && (ways.waits || ways.kills))
		return cli_usage(me,
				 ways.waits ? "--wait wants a PORT" : "--kill-dying wants a PORT");
	if (argc == optind)
		return answer(NULL, &ways);
	return why(argv[optind], &ways);
}
