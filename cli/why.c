/*
 * why.c - tcpshim why: who has a port, and would a bind to it work now, without
 * SO_REUSEADDR and with it?
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cli.h"
#include "facts/endpoint.h"
#include "facts/names.h"
#include "log/note_text.h"
#include "observe/conflict.h"
#include "port.h"
#include "unclosed.h"
#include "verdict.h"
#include "where.h"

static const char me[] = "why";

static void out_owners(struct out *out, const struct port_sock *row, enum sight sight)
{
	static const char *const unseen[] = {
		[SEES_NONE] = "  no /proc to find it in, uid ",
		[SEES_OURS] = "  a process of another user, uid ",
		[SEES_ALL] = "  a process out of sight, uid ",
	};
	const struct owners *owners = row->owners;

	for (uint32_t i = 0; owners && i < owners->count && i < OWNERS_NAMED; i++) {
		out_str(out, i ? ", " : "  ");
		out_plain(out, owners->named[i].prog, strlen(owners->named[i].prog));
		out_char(out, '[');
		out_i64(out, owners->named[i].pid);
		out_char(out, ']');
	}
	if (owners && owners->count > OWNERS_NAMED) {
		out_str(out, " and ");
		out_u64(out, owners->count - OWNERS_NAMED);
		out_str(out, " more");
	}
	if (owners && !owners->count) {
		out_str(out, unseen[sight]);
		out_u64(out, row->sock.uid);
	}
}

static void print_row(const struct port *port, const struct port_sock *row)
{
	enum { LOCAL = 13, PEER = 36, OWNER = 58 };
	const struct diag_sock *sock = &row->sock;
	const bool bound = sock->state == STATE_CLOSED;
	char line[512];
	struct out out = out_into(line, sizeof(line) - 1);

	out_str(&out, bound ? "(bound)" : state_name((enum tcp_state_id)sock->state));
	out_column(&out, LOCAL);
	out_endpoint(&out, &sock->local);
	out_column(&out, PEER);
	if (sock->peer.port)
		out_endpoint(&out, &sock->peer);
	else
		out_char(&out, '-');
	out_column(&out, OWNER - 2);
	out_owners(&out, row, port->sight);
	if (sock->has_timer) {
		out_str(&out, "  for ");
		out_u64(&out, (sock->timer_ms + 999) / 1000);
		out_str(&out, " s more");
	} else if (conflict_is_dying(sock)) {
		out_str(&out, "  until the peer has answered");
	}
	*out.at = '\0';
	puts(line);
}

static void print_rows(const struct port *port)
{
	enum { MOST = 40 };

	for (size_t i = 0; i < port->count && i < MOST; i++)
		print_row(port, &port->socks[i]);
	if (port->count > MOST)
		printf("and %zu more\n", port->count - MOST);
	if (port->count)
		putchar('\n');
}

static void print_answer(const char *option, int err)
{
	if (err)
		printf("no, %s", error_name(err) ? error_name(err) : strerror(err));
	else
		printf("yes");
	printf("%s", option);
}

static void print_notes(const struct event *why)
{
	for (int note = 0; note < NOTE_COUNT; note++) {
		char text[1024];
		struct out out = out_into(text, sizeof(text) - 1);

		if (!(why->notes & NOTE_BIT(note)))
			continue;
		out_note(&out, (enum note_id)note, why);
		*out.at = '\0';
		printf("    %s\n", text);
	}
}

/* What to do about it. */
static void print_advice(const struct verdict *verdict)
{
	enum { LONGEST_WAIT_S = 120 }; /* TCPSHIM_WAIT */
	const struct holders *holders = &verdict->why.more.holders;
	const bool dying = verdict->why.notes & NOTE_BIT(NOTE_IN_USE_DYING);
	const unsigned int wait_s = holders->longest_ms / 1000 + 1;

	if (verdict->without == EADDRINUSE && !verdict->with)
		puts("    a server that does not set SO_REUSEADDR can start at once under tcpshim "
		     "run");
	if (dying && !holders->without_end && wait_s <= LONGEST_WAIT_S)
		printf("    tcpshim run --wait=%u waits until they are gone%s\n", wait_s,
		       holders->cause == CAUSE_NO_SHIM ? ", and what runs under it\n"
							 "    leaves none that are in the way"
						       : "");
}

static void print_verdict(const struct verdict *verdict, const char *where)
{
	printf("bind %s: ", where);
	print_answer("; with SO_REUSEADDR: ", verdict->without);
	print_answer("\n", verdict->with);
	print_notes(&verdict->why);
	print_advice(verdict);
}

/* Of one address. Return whether a bind there would work with SO_REUSEADDR. */
static bool answer(const struct port *port, const struct endpoint *at)
{
	const struct verdict verdict = verdict_of(port, at);
	char where[128];
	struct out out = out_into(where, sizeof(where) - 1);

	out_endpoint(&out, at);
	*out.at = '\0';
	print_verdict(&verdict, where);
	return !verdict.with;
}

/* Of both wildcards, or of the one that there is. */
static bool answer_any(const struct port *port)
{
	const struct endpoint v4 = {.family = AF_INET, .port = port->number};
	const struct endpoint v6 = {.family = AF_INET6, .port = port->number};
	const struct verdict verdict4 = verdict_of(port, &v4), verdict6 = verdict_of(port, &v6);
	char where[64];
	bool good;

	if (verdict_try_address(&v6) != 0)
		return answer(port, &v4);
	if (!verdict_same(&verdict4, &verdict6)) {
		good = answer(port, &v4);
		return answer(port, &v6) && good;
	}
	snprintf(where, sizeof(where), "0.0.0.0:%u or [::]:%u", port->number, port->number);
	print_verdict(&verdict4, where);
	return !verdict4.with;
}

static int help(void)
{
	puts("Usage: tcpshim why PORT | ADDRESS:PORT | NAME:PORT\n"
	     "Say who has a TCP port, and whether a bind to it would work now, without\n"
	     "SO_REUSEADDR and with it. Without an address: of 0.0.0.0 and of [::].\n"
	     "\n"
	     "The port is a number or the name of a service. An IPv6 address stands in\n"
	     "brackets.\n"
	     "\n"
	     "  -h, --help, -V, --version\n"
	     "\n"
	     "The exit status is 0 where a bind with SO_REUSEADDR would work, else 1; 2 after\n"
	     "wrong usage.");
	return STATUS_FINE;
}

static bool answer_all(const struct port *port, const struct where *where)
{
	bool good = true;

	for (unsigned int i = 0; i < where->count; i++)
		good = answer(port, &where->at[i]) && good;
	return good;
}

static int why(const char *text)
{
	char said[512];
	struct out wrong = out_into(said, sizeof(said) - 1);
	struct where where;
	struct port port = {0};
	int rc, status = STATUS_USAGE;
	bool good;

	out_mem(&wrong, text, strnlen(text, 200));
	out_str(&wrong, ": ");
	good = where_parse(&where, text, &wrong);
	*wrong.at = '\0';
	if (!good)
		return cli_usage(me, said);
	port.number = where.at[0].port;
	rc = port_look(&port);
	if (rc < 0) {
		cli_say(me, "sock_diag: %s", strerror(-rc));
	} else {
		print_rows(&port);
		unclosed_print(&port);
		good = where.at[0].family ? answer_all(&port, &where) : answer_any(&port);
		status = good ? STATUS_FINE : STATUS_NO;
	}
	port_free(&port);
	return status;
}

int why_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			return help();
		case 'V':
			return cli_version();
		default:
			cli_refused(&wrong, option, argv, options);
			*wrong.at = '\0';
			return cli_usage(me, text);
		}
	}
	if (argc - optind != 1)
		return cli_usage(me, "one PORT is to be given");
	return why(argv[optind]);
}
