/* SPDX-License-Identifier: MIT */
/*
 * check_json.c - what tcpshim check found out, as one object of JSON.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "log/json_key.h"

static void key_text(struct out *out, const char *key, const char *text)
{
	key_string(out, key, text, strlen(text));
}

static void key_bool(struct out *out, const char *key, bool value)
{
	out_str(out, key);
	out_str(out, value ? "true" : "false");
}

static void out_link(struct out *out, const struct chain_link *link)
{
	const struct elf_file *file = &link->file;

	key_text(out, "{\"path\":", link->path);
	key_bool(out, KEY("readable"), link->is_read);
	key_bool(out, KEY("script"), link->is_script);
	if (link->is_script)
		key_text(out, KEY("interpreter"), link->interpreter);
	key_bool(out, KEY("elf"), file->is_elf);
	if (file->is_elf) {
		key_u64(out, KEY("bits"), file->word_size == ELFCLASS64 ? 64 : 32);
		key_u64(out, KEY("machine"), file->machine);
		key_bool(out, KEY("go"), file->is_go);
		key_bool(out, KEY("loads_modules"), file->loads_modules);
	}
	if (*file->linker)
		key_text(out, KEY("linker"), file->linker);
	out_char(out, '}');
}

static void out_place(struct out *out, const char *key, const struct script_place *place)
{
	if (!place->line)
		return;
	out_str(out, key);
	out_str(out, "{\"line\":");
	out_u64(out, place->line);
	key_text(out, KEY("words"), place->words);
	out_char(out, '}');
}

static void out_programs(struct out *out, const struct chain *chain)
{
	out_str(out, KEY("programs") "[");
	for (unsigned int i = 0; i < chain->count; i++) {
		if (i)
			out_char(out, ',');
		out_link(out, &chain->links[i]);
	}
	out_char(out, ']');
	out_place(out, KEY("loses"), &chain->shell.loses);
	out_place(out, KEY("execs"), &chain->shell.execs);
	if (*chain->blind)
		key_text(out, KEY("blind"), chain->blind);
	key_bool(out, KEY("everywhere"), chain->everywhere);
	key_text(out, KEY("prog"), chain->prog);
}

static void out_settings(struct out *out, const struct check *check)
{
	char key[64];
	bool any = false;

	out_str(out, KEY("settings") "{");
	for (int i = 0; i < SETTINGS; i++) {
		if (!check->values[i])
			continue;
		snprintf(key, sizeof(key), "%s\"%s\":{\"value\":", any ? "," : "",
			 settings_table[i].variable);
		key_text(out, key, check->values[i]);
		key_bool(out, KEY("understood"), !check->refused[i]);
		out_char(out, '}');
		any = true;
	}
	out_char(out, '}');
}

static void out_log(struct out *out, const struct log_place *log)
{
	key_text(out, KEY("log") "{\"where\":", log->where);
	if (log->fault)
		key_text(out, KEY("fault"), log->fault);
	key_bool(out, KEY("new"), log->is_new);
	key_bool(out, KEY("other_build"), log->is_other);
	key_bool(out, KEY("needs_reader"), log->needs_reader);
	out_char(out, '}');
}

static void out_kernel(struct out *out, const struct kernel *kernel)
{
	key_text(out, KEY("kernel") "{\"release\":", kernel->release);
	key_bool(out, KEY("wipeonfork"), kernel->tells_forks);
	key_bool(out, KEY("sock_diag"), kernel->tcp_diag);
	key_bool(out, KEY("sock_diag_mptcp"), kernel->mptcp_diag);
	key_bool(out, KEY("lists_bound"), kernel->lists_bound);
	key_bool(out, KEY("netns_cookie"), kernel->netns_cookie);
	key_bool(out, KEY("close_range"), kernel->close_range);
	key_bool(out, KEY("kcmp"), kernel->kcmp);
	key_bool(out, KEY("proc"), kernel->reads_proc);
	key_bool(out, KEY("no_new_privs"), kernel->no_new_privs);
	key_bool(out, KEY("seccomp_filter"), kernel->filtered);
	if (kernel->ptrace_scope >= 0)
		key_i64(out, KEY("ptrace_scope"), kernel->ptrace_scope);
	if (kernel->first_unprivileged_port >= 0)
		key_i64(out, KEY("first_unprivileged_port"), kernel->first_unprivileged_port);
	out_char(out, '}');
	key_bool(out, KEY("stacks"), !kernel->no_stacks);
	if (kernel->no_stacks)
		key_text(out, KEY("no_stacks"), kernel->no_stacks);
}

/* A byte is written as six at most. What the user gave may be longer than any path. */
static size_t room_for(const struct check *check)
{
	size_t bytes = PATH_MAX * (3 * CHAIN_LINKS + 16) + strlen(check->command);

	for (int i = 0; i < SETTINGS; i++)
		bytes += check->values[i] ? strlen(check->values[i]) : 0;
	return 6 * bytes;
}

void check_print_json(const struct check *check, const struct check_verdict *verdict)
{
	static const char *const answers[] = {"yes", "part", "no"};
	const size_t size = room_for(check);
	char *room = malloc(size);
	struct out out;

	if (!room)
		return;
	out = out_into(room, size);
	out_str(&out, "{\"v\":1");
	key_name(&out, KEY("reached"), answers[verdict->answer]);
	key_name(&out, KEY("cause"), verdict->cause);
	key_text(&out, KEY("text"), verdict->text);
	if (*verdict->cure)
		key_text(&out, KEY("cure"), verdict->cure);
	key_text(&out, KEY("command"), check->command);
	if (*check->chain.by)
		key_text(&out, KEY("by"), check->chain.by);
	out_programs(&out, &check->chain);
	key_text(&out, KEY("library"), check->library);
	key_text(&out, KEY("user"), check->user);
	key_u64(&out, KEY("uid"), check->uid);
	out_settings(&out, check);
	out_log(&out, &check->log);
	out_kernel(&out, &check->kernel);
	out_str(&out, "}\n");
	fwrite(room, 1, out_len(&out), stdout);
	free(room);
}
