/* SPDX-License-Identifier: MIT */
/*
 * why_text.c - what tcpshim why has found out, for people: the verdict first, then the sockets,
 * then who has them; on one screen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "log/note_text.h"
#include "observe/conflict.h"
#include "why/page.h"
#include "why/unclosed.h"
#include "why/why.h"

enum { OWNERS_NAMED = 4 };

static void out_result(struct out *out, int err)
{
	if (!err)
		out_str(out, "yes");
	else
		out_str(out, "no, ");
	if (err)
		out_str(out, error_name(err) ? error_name(err) : strerror(err));
}

static void print_answer(struct page *page, const struct answer *answer)
{
	struct out *out = &page->line;
	const struct endpoint v6 = {.family = AF_INET6, .port = answer->at.port};

	out_str(out, "bind ");
	out_endpoint(out, &answer->at);
	if (answer->for_both) {
		out_str(out, " or ");
		out_endpoint(out, &v6);
	}
	out_str(out, ": ");
	out_result(out, answer->verdict.without);
	out_str(out, "; with SO_REUSEADDR: ");
	out_result(out, answer->verdict.with);
	page_line(page, 4);
}

static void indented(struct page *page)
{
	out_str(&page->line, "    ");
}

static void print_notes(struct page *page, const struct event *why)
{
	for (int note = 0; note < NOTE_COUNT; note++) {
		if (!(why->notes & NOTE_BIT(note)))
			continue;
		indented(page);
		out_note(&page->line, (enum note_id)note, why);
		page_line(page, 4);
	}
}

/* What to do about it. */
static void print_advice(struct page *page, const struct verdict *verdict)
{
	enum { LONGEST_WAIT_S = 120 }; /* TCPSHIM_WAIT */
	struct out *out = &page->line;
	const struct holders *holders = &verdict->why.more.holders;
	const bool dying = verdict->why.notes & NOTE_BIT(NOTE_IN_USE_DYING);
	const unsigned int wait_s = holders->longest_ms / 1000 + 1;

	if (verdict->without == EADDRINUSE && !verdict->with) {
		out_str(out, "    a server that does not set SO_REUSEADDR can start at once under "
			     "tcpshim run");
		page_line(page, 4);
	}
	if (dying && !holders->without_end && wait_s <= LONGEST_WAIT_S) {
		out_str(out, "    tcpshim run --wait=");
		out_u64(out, wait_s);
		out_str(out, " waits until they are gone");
		if (holders->cause == CAUSE_NO_SHIM)
			out_str(out, ", and what runs under it leaves none that are in the way");
		page_line(page, 4);
	}
}

/* Who stands in front of whoever would be stopped in vain, or with harm. */
static void print_keeper(struct page *page, const struct why *why, const struct process *process)
{
	struct out *out = &page->line;

	if (*process->container_ip) {
		out_str(out, "    docker-proxy has it for port ");
		out_plain(out, process->container_port, strlen(process->container_port));
		out_str(out, " of the container at ");
		out_plain(out, process->container_ip, strlen(process->container_ip));
		out_str(out,
			": stop that container, not docker-proxy (docker ps --filter publish=");
		out_u64(out, why->port.number);
		out_char(out, ')');
		page_line(page, 4);
	} else if (process->pid == 1 && strcmp(process->prog, "systemd") == 0) {
		out_str(out, "    systemd itself has it, for a socket unit: stop that unit too "
			     "(systemctl list-sockets)");
		page_line(page, 4);
	} else if (process->socket_activated) {
		indented(page);
		out_plain(out, process->prog, strlen(process->prog));
		out_str(out,
			" was started with it (LISTEN_FDS): who has started it may hold it too, "
			"and start it again");
		page_line(page, 4);
	}
}

static bool has_note(const struct why *why, enum note_id note)
{
	for (unsigned int i = 0; i < why->answer_count; i++)
		if (why->answers[i].verdict.why.notes & NOTE_BIT(note))
			return true;
	return false;
}

/* Of a mixed crowd the note does not tell what the outgoing ones are. */
static void print_outgoing(struct page *page, const struct why *why)
{
	struct out *out = &page->line;
	uint64_t outgoing = 0;

	for (size_t i = 0; i < why->crowd.count; i++)
		if (why->crowd.shown[i]->alike.outgoing)
			outgoing += why->crowd.shown[i]->count;
	for (unsigned int i = 0; i < why->answer_count; i++)
		if (why->answers[i].verdict.why.more.holders.cause == CAUSE_OUTGOING &&
		    why->answers[i].verdict.why.notes)
			return;
	if (!outgoing)
		return;
	indented(page);
	out_u64(out, outgoing);
	out_str(out, outgoing == 1 ? " is an outgoing connection" : " are outgoing connections");
	out_str(out, ": the kernel chose the port from the range ");
	out_u64(out, why->first_port);
	out_char(out, '-');
	out_u64(out, why->last_port);
	out_str(out, "; move the service below it or reserve it: sysctl "
		     "net.ipv4.ip_local_reserved_ports=");
	out_u64(out, why->port.number);
	page_line(page, 4);
}

/* A server that has it by SO_REUSEPORT does not keep out its second instance, wanted or not. */
static void print_sharing(struct page *page, const struct why *why)
{
	const struct diag_sock *first = NULL;

	for (size_t i = 0; i < why->crowd.count; i++) {
		const struct diag_sock *sock = &why->crowd.shown[i]->one;

		if (sock->state != STATE_LISTEN)
			continue;
		if (!why->options[i].reuseport || (first && first->uid != sock->uid))
			return;
		first = first ? first : sock;
	}
	if (!first)
		return;
	out_str(&page->line, "    all that listen there have SO_REUSEPORT: another socket of uid ");
	out_u64(&page->line, first->uid);
	out_str(&page->line, " that has it joins them");
	page_line(page, 4);
}

static void print_answers(struct page *page, const struct why *why)
{
	for (unsigned int i = 0; i < why->answer_count; i++) {
		if (i)
			print_answer(page, &why->answers[i]);
		print_notes(page, &why->answers[i].verdict.why);
		print_advice(page, &why->answers[i].verdict);
	}
	if (has_note(why, NOTE_IN_USE_LISTENER))
		for (unsigned int i = 0; i < why->process_count; i++)
			print_keeper(page, why, &why->processes[i]);
	if (has_note(why, NOTE_IN_USE_LISTENER))
		print_sharing(page, why);
	print_outgoing(page, why);
}

static void out_who(struct out *out, const struct owner *owner)
{
	out_plain(out, owner->prog, strlen(owner->prog));
	out_char(out, '[');
	out_i64(out, owner->pid);
	out_char(out, ']');
}

void why_out_owners(struct out *out, const struct port *port, const struct group *group)
{
	static const char *const unseen[] = {
		[SEES_NONE] = "no /proc to find it in, uid ",
		[SEES_OURS] = "a process of another user, uid ",
		[SEES_ALL] = "a process out of sight, uid ",
	};
	const struct openings *openings = &port->openings;
	const struct owners *owners = port_owners(port, group->one.inode);
	uint32_t named = 0, at = owners ? owners->first : 0;

	for (; at && named < OWNERS_NAMED; at = openings->all[at - 1].next) {
		out_str(out, named++ ? ", " : "");
		out_who(out, &openings->owners[openings->all[at - 1].owner]);
	}
	if (owners && owners->count > OWNERS_NAMED) {
		out_str(out, " and ");
		out_u64(out, owners->count - OWNERS_NAMED);
		out_str(out, " more");
	}
	if (group->alike.open && !named) {
		out_str(out, unseen[openings->sight]);
		out_u64(out, group->alike.uid);
	}
}

/* Does it have the option? What it leaves behind is then not in the way of the next one. */
static void out_options(struct out *out, const struct options *options)
{
	if (!options->known) {
		out_char(out, '-');
		return;
	}
	out_str(out, options->reuseaddr ? "SO_REUSEADDR" : "no SO_REUSEADDR");
	out_str(out, options->reuseport ? "+REUSEPORT" : "");
}

static void out_peer(struct out *out, const struct group *group, const struct options *options)
{
	const struct diag_sock *sock = &group->one;

	if (group->alike.outgoing)
		out_str(out, "to ");
	if (group->count > 1) {
		out_u64(out, group->count);
		out_str(out, sock->state == STATE_LISTEN   ? " listeners"
			     : sock->state == STATE_CLOSED ? " sockets"
							   : " connections");
	} else if (sock->peer.port) {
		out_endpoint(out, &sock->peer);
	} else {
		out_options(out, options);
	}
}

void why_out_time_left(struct out *out, const struct group *group)
{
	if (group->longest_ms) {
		out_str(out, " for ");
		out_u64(out, (group->longest_ms + 999) / 1000);
		out_str(out, group->count > 1 ? " s more at most" : " s more");
	} else if (group->without_end) {
		out_str(out, " until the peer has answered");
	}
}

static void print_group(struct page *page, const struct why *why, size_t i)
{
	enum { LOCAL = 13, PEER = 35, OWNER = 57 };
	const struct group *group = why->crowd.shown[i];
	const struct diag_sock *sock = &group->one;
	struct out *out = &page->line;

	out_str(out, sock->state == STATE_CLOSED ? "(bound)"
						 : state_name((enum tcp_state_id)sock->state));
	out_column(out, LOCAL);
	out_endpoint(out, &sock->local);
	out_column(out, PEER);
	out_peer(out, group, &why->options[i]);
	if (group->alike.open || group->longest_ms || group->without_end)
		out_column(out, OWNER);
	why_out_owners(out, &why->port, group);
	why_out_time_left(out, group);
	page_line(page, 4);
}

static void print_groups(struct page *page, const struct why *why, int reserved)
{
	size_t i = 0, left = 0;

	if (!why->crowd.count)
		return;
	page_line(page, 0);
	for (; i < why->crowd.count && (!i || page->left - reserved > 2); i++)
		print_group(page, why, i);
	for (size_t k = i; k < why->crowd.count; k++)
		left += why->crowd.shown[k]->count;
	if (left) {
		out_str(&page->line, "and ");
		out_u64(&page->line, left);
		out_str(&page->line, " more (--json lists them)");
		page_line(page, 0);
	}
}

enum { MOST_UNCLOSED = 3, LINES_OF_UNCLOSED = 2, LINES_A_PROCESS = 3 };

static int unclosed_groups(const struct why *why)
{
	int count = 0;

	for (size_t i = 0; i < why->crowd.count && count < MOST_UNCLOSED; i++)
		count += why->crowd.shown[i]->alike.unclosed;
	return count;
}

static void print_unclosed(struct page *page, const struct why *why)
{
	int told = 0;

	for (size_t i = 0; i < why->crowd.count; i++) {
		const struct group *group = why->crowd.shown[i];

		if (!group->alike.unclosed || told == MOST_UNCLOSED)
			continue;
		if (!told++)
			page_line(page, 0);
		out_unclosed(&page->line, &why->port.openings, group);
		page_line(page, 4);
	}
}

void why_out_place(struct out *out, const struct cgroup *cgroup)
{
	enum { SHORT_ID = 12 };

	if (*cgroup->container) {
		out_str(out, "container ");
		out_plain(out, cgroup->container,
			  strlen(cgroup->container) == 64 ? SHORT_ID : strlen(cgroup->container));
		if (*cgroup->runtime) {
			out_str(out, " (");
			out_plain(out, cgroup->runtime, strlen(cgroup->runtime));
			out_char(out, ')');
		}
	} else if (*cgroup->unit) {
		out_str(out, "unit ");
		out_plain(out, cgroup->unit, strlen(cgroup->unit));
	}
}

static void print_process_head(struct page *page, const struct process *process)
{
	struct out *out = &page->line;

	out_plain(out, process->prog, strlen(process->prog));
	out_char(out, '[');
	out_i64(out, process->pid);
	out_str(out, "]: ");
	if (*process->user) {
		out_str(out, "user ");
		out_plain(out, process->user, strlen(process->user));
	} else if (process->has_uid) {
		out_str(out, "uid ");
		out_u64(out, process->uid);
	}
	if (process->has_age) {
		out_str(out, ", started ");
		out_age(out, process->age_s);
		out_str(out, " ago");
	}
	if (*process->folder) {
		out_str(out, ", in ");
		out_plain(out, process->folder, strlen(process->folder));
	}
	if (*process->cgroup.container || *process->cgroup.unit)
		out_str(out, ", ");
	why_out_place(out, &process->cgroup);
	page_line(page, 4);
}

/* The nearest, as many as fit into a line. */
static void print_ancestors(struct page *page, const struct process *process)
{
	enum { MOST = 5 };
	struct out *out = &page->line;
	const unsigned int count = process->ancestor_count;

	if (!count)
		return;
	out_str(out, "    started by ");
	for (unsigned int i = 0; i < count && i < MOST; i++) {
		const struct ancestor *one = &process->ancestors[i];

		out_str(out, i ? " < " : "");
		out_plain(out, one->prog, strlen(one->prog));
		out_char(out, '[');
		out_i64(out, one->pid);
		out_char(out, ']');
	}
	if (count > MOST)
		out_str(out, " < ...");
	page_cut(page);
}

static void print_process(struct page *page, const struct process *process)
{
	print_process_head(page, process);
	if (*process->command) {
		indented(page);
		out_plain(&page->line, process->command, strlen(process->command));
		page_cut(page);
	}
	print_ancestors(page, process);
}

static void print_processes(struct page *page, const struct why *why)
{
	unsigned int i = 0;

	if (!why->process_count)
		return;
	page_line(page, 0);
	for (; i < why->process_count && (!i || page->left > LINES_A_PROCESS + 1); i++)
		print_process(page, &why->processes[i]);
	if (i < why->process_count || why->unlisted) {
		out_str(&page->line, "and ");
		out_u64(&page->line, why->process_count - i + why->unlisted);
		out_str(&page->line, " more (--json tells of them)");
		page_line(page, 0);
	}
}

static void out_states(struct out *out, const uint32_t of_state[STATE_COUNT])
{
	bool any = false;

	for (int state = 0; state < STATE_COUNT; state++) {
		if (!of_state[state])
			continue;
		out_str(out, any ? ", " : "");
		out_u64(out, of_state[state]);
		out_char(out, ' ');
		out_str(out,
			state == STATE_CLOSED ? "bound" : state_name((enum tcp_state_id)state));
		any = true;
	}
}

/* What became of those that were in the way, a line for each kind that there is. */
static int print_fates(struct page *page, const struct why *why)
{
	static const char *const said[FATE_COUNT][2] = {
		[FATE_ENDED] = {"ended: ", ""},
		[FATE_GONE] = {"ended by itself: ", ""},
		[FATE_OPEN] = {"not ended: ", ", which a program has open and may still read from"},
		[FATE_UNSENT] = {"not ended: ",
				 " with data that the peer has not acknowledged yet"},
		[FATE_ALIVE] = {"not ended: ", ", which is no end of a connection"},
		[FATE_FAILED] = {"not ended: ", ": "},
	};
	const int before = page->left;
	bool any = false;

	for (int fate = 0; why->killed && fate < FATE_COUNT; fate++) {
		char text[512];
		struct out states = out_into(text, sizeof(text));

		out_states(&states, why->fates[fate]);
		if (!out_len(&states))
			continue;
		any = true;
		out_str(&page->line, said[fate][0]);
		out_mem(&page->line, text, out_len(&states));
		out_str(&page->line, said[fate][1]);
		if (fate == FATE_FAILED)
			out_str(&page->line, why->kill_error == EPERM
						     ? "only root may (CAP_NET_ADMIN)"
						     : strerror(why->kill_error));
		page_line(page, 4);
	}
	if (why->killed && !any) {
		out_str(&page->line, "nothing to end");
		page_line(page, 0);
	}
	return before - page->left;
}

void why_print_first(struct why *why)
{
	const struct answer *first = &why->answers[0];
	const struct said said = {true, first->for_both, first->verdict.without,
				  first->verdict.with};
	struct page page;

	if (why->said.any && said.without == why->said.without && said.with == why->said.with)
		return;
	page_begin(&page, why->lines);
	why->lines += print_fates(&page, why) + 1;
	print_answer(&page, first);
	fflush(stdout);
	why->said = said;
}

void why_print_rest(const struct why *why)
{
	struct page page;
	const int unclosed = unclosed_groups(why);
	int reserved = unclosed ? LINES_OF_UNCLOSED * unclosed + 1 : 0;

	page_begin(&page, why->lines);
	print_answers(&page, why);
	if (why->process_count)
		reserved += LINES_A_PROCESS + 3;
	print_groups(&page, why, reserved);
	print_unclosed(&page, why);
	print_processes(&page, why);
}
