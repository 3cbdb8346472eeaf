/* SPDX-License-Identifier: MIT */
/*
 * why_json.c - what tcpshim why has found out, for programs: one object. What each key means is in
 * tcpshim(1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log/json_key.h"
#include "log/note_keys.h"
#include "log/note_text.h"
#include "why/why.h"

/* An element at a time: none is longer. */
enum { ROOM = 65536 };

static void put(struct out *out)
{
	fwrite(out->start, 1, out_len(out), stdout);
	out->at = out->start;
}

static void key_text(struct out *out, const char *key, const char *text)
{
	if (*text)
		key_string(out, key, text, strlen(text));
}

static void key_flag(struct out *out, const char *key, bool value)
{
	if (value) {
		out_str(out, key);
		out_str(out, "true");
	}
}

static void key_answer(struct out *out, const char *key, const char *error_key, int err)
{
	out_str(out, key);
	out_str(out, err ? "false" : "true");
	if (err)
		key_constant(out, error_key, error_name(err), err);
}

static void out_notes(struct out *out, const struct event *why)
{
	bool any = false;

	out_str(out, KEY("notes") "[");
	for (int note = 0; note < NOTE_COUNT; note++) {
		if (!(why->notes & NOTE_BIT(note)))
			continue;
		out_str(out, any ? "," : "");
		out_str(out, "{\"code\":\"");
		out_str(out, note_code((enum note_id)note));
		out_str(out, "\",\"text\":\"");
		out_note(out, (enum note_id)note, why);
		out_char(out, QUOTE);
		out_note_keys(out, (enum note_id)note, why);
		out_char(out, '}');
		any = true;
	}
	out_char(out, ']');
}

static void put_answer(struct out *out, const struct answer *answer, bool v6)
{
	const struct endpoint both = {.family = AF_INET6, .port = answer->at.port};

	key_endpoint(out, "{\"local\":", v6 ? &both : &answer->at);
	key_answer(out, KEY("works"), KEY("error"), answer->verdict.without);
	key_answer(out, KEY("works_with_reuseaddr"), KEY("error_with_reuseaddr"),
		   answer->verdict.with);
	out_notes(out, &answer->verdict.why);
	out_char(out, '}');
	put(out);
}

static void put_answers(struct out *out, const struct why *why)
{
	out_str(out, KEY("binds") "[");
	for (unsigned int i = 0; i < why->answer_count; i++) {
		out_str(out, i ? "," : "");
		put_answer(out, &why->answers[i], false);
		if (!why->answers[i].for_both)
			continue;
		out_char(out, ',');
		put_answer(out, &why->answers[i], true);
	}
	out_char(out, ']');
}

static void out_owners(struct out *out, const struct why *why, const struct group *group)
{
	enum { MOST = 1000 };
	const struct openings *openings = &why->port.openings;
	const struct owners *owners = port_owners(&why->port, group->one.inode);
	uint32_t told = 0;

	if (!owners)
		return;
	out_str(out, KEY("owners") "[");
	for (uint32_t at = owners->first; at && told < MOST; at = openings->all[at - 1].next) {
		const struct opening *opening = &openings->all[at - 1];

		out_str(out, told++ ? "," : "");
		key_i64(out, "{\"pid\":", openings->owners[opening->owner].pid);
		key_i64(out, KEY("fd"), opening->fd);
		out_char(out, '}');
	}
	out_char(out, ']');
	key_u64(out, KEY("owners_count"), owners->count);
}

/* What is known of one alone, of many of the one that stands for them. */
static void out_one(struct out *out, const struct diag_sock *sock)
{
	key_endpoint(out, KEY("local"), &sock->local);
	if (sock->peer.port)
		key_endpoint(out, KEY("peer"), &sock->peer);
	key_u64(out, KEY("sock"), sock->cookie);
	if (sock->inode)
		key_u64(out, KEY("inode"), sock->inode);
	key_u64(out, KEY("uid"), sock->uid);
	if (sock->ifindex)
		key_u64(out, KEY("ifindex"), sock->ifindex);
}

static void put_group(struct out *out, const struct why *why, size_t i)
{
	const struct group *group = why->crowd.shown[i];
	const struct options *options = &why->options[i];

	key_name(out, "{\"state\":", state_name((enum tcp_state_id)group->alike.state));
	key_u64(out, KEY("count"), group->count);
	out_one(out, &group->one);
	key_flag(out, KEY("outgoing"), group->alike.outgoing);
	if (group->longest_ms)
		key_u64(out, KEY("max_ms"), group->longest_ms);
	if (group->without_end)
		key_u64(out, KEY("without_end"), group->without_end);
	if (group->alike.unclosed)
		key_u64(out, KEY("unclosed_at_least_ms"), group->silent_ms);
	if (options->known) {
		out_str(out,
			options->reuseaddr ? KEY("reuseaddr") "true" : KEY("reuseaddr") "false");
		out_str(out,
			options->reuseport ? KEY("reuseport") "true" : KEY("reuseport") "false");
	}
	out_owners(out, why, group);
	out_char(out, '}');
	put(out);
}

static void out_ancestors(struct out *out, const struct process *process)
{
	out_str(out, KEY("started_by") "[");
	for (unsigned int i = 0; i < process->ancestor_count; i++) {
		const struct ancestor *one = &process->ancestors[i];

		out_str(out, i ? "," : "");
		key_i64(out, "{\"pid\":", one->pid);
		key_text(out, KEY("prog"), one->prog);
		key_flag(out, KEY("shell"), one->is_shell);
		out_char(out, '}');
	}
	out_char(out, ']');
}

static void put_process(struct out *out, const struct process *process)
{
	key_i64(out, "{\"pid\":", process->pid);
	key_text(out, KEY("prog"), process->prog);
	if (process->has_uid)
		key_u64(out, KEY("uid"), process->uid);
	key_text(out, KEY("user"), process->user);
	key_text(out, KEY("command"), process->command);
	key_text(out, KEY("folder"), process->folder);
	if (process->has_age)
		key_u64(out, KEY("age_s"), process->age_s);
	key_text(out, KEY("cgroup"), process->cgroup.path);
	key_text(out, KEY("unit"), process->cgroup.unit);
	key_text(out, KEY("container"), process->cgroup.container);
	key_text(out, KEY("runtime"), process->cgroup.runtime);
	key_text(out, KEY("container_ip"), process->container_ip);
	key_text(out, KEY("container_port"), process->container_port);
	key_flag(out, KEY("socket_activated"), process->socket_activated);
	if (process->socket_activated)
		key_u64(out, KEY("listen_fds"), process->listen_fds);
	out_ancestors(out, process);
	out_char(out, '}');
	put(out);
}

static const char *sight_name(enum sight sight)
{
	static const char *const names[] = {
		[SEES_NONE] = "none", [SEES_OURS] = "some", [SEES_ALL] = "all"};

	return names[sight];
}

/* What became of those that were in the way of --kill-dying. */
static void put_fates(struct out *out, const struct why *why)
{
	static const char *const names[FATE_COUNT] = {
		[FATE_ENDED] = "ended",	  [FATE_GONE] = "gone",	  [FATE_OPEN] = "open",
		[FATE_UNSENT] = "unsent", [FATE_ALIVE] = "alive", [FATE_FAILED] = "failed",
	};
	bool any = false;

	out_str(out, KEY("killed") "[");
	for (int fate = 0; fate < FATE_COUNT; fate++) {
		for (int state = 0; state < STATE_COUNT; state++) {
			if (!why->fates[fate][state])
				continue;
			out_str(out, any ? "," : "");
			key_name(out, "{\"state\":", state_name((enum tcp_state_id)state));
			key_u64(out, KEY("count"), why->fates[fate][state]);
			key_name(out, KEY("fate"), names[fate]);
			out_char(out, '}');
			any = true;
		}
	}
	out_char(out, ']');
	if (why->kill_error)
		key_constant(out, KEY("kill_error"), error_name(why->kill_error), why->kill_error);
	put(out);
}

void why_print_json(const struct why *why)
{
	char *room = malloc(ROOM);
	struct out out;

	if (!room)
		return;
	out = out_into(room, ROOM);
	out_str(&out, "{\"v\":1");
	if (why->port.number)
		key_u64(&out, KEY("port"), why->port.number);
	if (why->killed)
		put_fates(&out, why);
	if (why->answer_count)
		put_answers(&out, why);
	out_str(&out, KEY("sockets") "[");
	for (size_t i = 0; i < why->crowd.count; i++) {
		out_str(&out, i ? "," : "");
		put_group(&out, why, i);
	}
	out_str(&out, "]" KEY("processes") "[");
	for (unsigned int i = 0; i < why->process_count; i++) {
		out_str(&out, i ? "," : "");
		put_process(&out, &why->processes[i]);
	}
	out_char(&out, ']');
	if (why->unlisted)
		key_u64(&out, KEY("processes_unlisted"), why->unlisted);
	key_name(&out, KEY("processes_seen"), sight_name(why->port.openings.sight));
	if (why->first_port) {
		key_u64(&out, KEY("first_port"), why->first_port);
		key_u64(&out, KEY("last_port"), why->last_port);
	}
	out_str(&out, "}\n");
	put(&out);
	free(room);
}
