/* SPDX-License-Identifier: MIT */
/*
 * chain.c - see chain.h.
 */
#include "check/chain.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/wrapper.h"
#include "program/preload.h"
#include "run_options.h"

enum { ROOM = 64 };

/* What is being followed. */
struct walk {
	struct chain *chain;
	const char *library;
	char **words;	  /* of the command; NULL: it ends here */
	bool by_path;	  /* the next one is what a "#!" line names: not looked for in PATH */
	char **arguments; /* of the shell's text, behind its name; NULL: not known */
	bool in_shell;	  /* what follows is what a shell becomes, by a line of its text */
	char *room[ROOM]; /* for the words that a script gives its interpreter */
	/* The lines by which shells become others: words of one may be arguments of the next. */
	char execs[CHAIN_LINKS][128];
	int n_execs;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_preloaded(const struct walk *walk)
{
	const char *list = getenv("LD_PRELOAD");

	return walk->chain->everywhere || (list && preload_holds(list, walk->library));
}

static void say_by(struct chain *chain, enum chain_cause cause, const char *by)
{
	chain->cause = cause;
	snprintf(chain->by, sizeof(chain->by), "%s", by);
}

/* The environment is lost here, if it was not before. */
static void lose(struct walk *walk, enum chain_cause cause, const char *by)
{
	if (is_preloaded(walk))
		say_by(walk->chain, cause, by);
	unsetenv("LD_PRELOAD");
}

static void act_of_env(enum env_act act, const char *word, void *arg)
{
	struct walk *walk = arg;
	const bool before = is_preloaded(walk);
	char *entry;

	switch (act) {
	case ENV_SET:
		entry = strdup(word);
		if (entry)
			putenv(entry);
		break;
	case ENV_UNSET:
		unsetenv(word);
		break;
	case ENV_CLEAR:
		clearenv();
		break;
	case ENV_CHDIR:
		if (chdir(word) < 0)
			say_by(walk->chain, CAUSE_NOT_FOUND, word);
		break;
	}
	if (before && !is_preloaded(walk))
		say_by(walk->chain, CAUSE_LOST, "env");
}

/* tcpshim run: what it would do. */
static char **behind_tool(struct walk *walk)
{
	struct run_options options;
	int count = 0;
	char *list;

	while (walk->words[count])
		count++;
	if (count < 2 || strcmp(walk->words[1], "run") != 0 ||
	    run_options_parse(&options, RUN_RUN, count - 1, walk->words + 1) != RUN_COMMAND)
		return NULL;
	run_options_apply(&options);
	list = preload_list(getenv("LD_PRELOAD"), walk->library);
	if (list)
		setenv("LD_PRELOAD", list, 1);
	free(list);
	return options.command;
}

/* A word that a shell takes as it stands, without its quotes; NULL: it is no such. */
static char *plain_word(char *word)
{
	const size_t len = strlen(word);

	if (len > 2 && word[0] == '"' && word[len - 1] == '"') {
		word[len - 1] = '\0';
		word++;
	}
	return *word && !strpbrk(word, "$`*?[]{}\"'\\~<>&;|()=") ? word : NULL;
}

/* "$@": what the shell was given. */
static bool is_all_arguments(const char *word)
{
	return strcmp(word, "\"$@\"") == 0 || strcmp(word, "$@") == 0;
}

/* The words of the line in which it becomes another program, as far as they are plain. */
static void follow_exec(struct walk *walk, const struct script_view *shell)
{
	char *word, *rest, **words = walk->room;
	int count = 0;

	if (walk->n_execs == CHAIN_LINKS)
		return;
	rest = strcpy(walk->execs[walk->n_execs++], shell->execs.words);
	strsep(&rest, " "); /* exec itself */
	word = strsep(&rest, " ");
	if (!word)
		return;
	if (is_all_arguments(word)) {
		words = walk->arguments;
	} else {
		for (word = plain_word(word); word && count < ROOM - 1; word = strsep(&rest, " "))
			words[count++] = word;
		words[count] = NULL;
	}
	if (!words || !*words || (shell->moves && **words != '/'))
		return;
	walk->words = words;
	walk->in_shell = true;
}

/* The shell's text: what it loses, and what it becomes. */
static void look_at_text(struct walk *walk, const char *text, size_t len)
{
	struct chain *chain = walk->chain;

	script_look(&chain->shell, text, len, wrapper_loses);
	walk->words = NULL;
	if (!chain->shell.loses.line)
		follow_exec(walk, &chain->shell);
	else if (chain->cause == CAUSE_NONE && is_preloaded(walk))
		chain->cause = CAUSE_SCRIPT;
}

static void look_at_script(struct walk *walk, const char *path)
{
	static char text[1 << 18];
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);

	if (fd >= 0)
		close(fd);
	walk->words = NULL;
	snprintf(walk->chain->script, sizeof(walk->chain->script), "%s", path);
	if (len > 0)
		look_at_text(walk, text, (size_t)len);
}

static void behind_shell(struct walk *walk)
{
	enum shell_reads reads;
	char **word = wrapper_shell(walk->words, &reads);

	walk->words = NULL;
	walk->arguments = NULL;
	if (!word)
		return;
	if (reads == SHELL_TEXT) {
		*walk->chain->script = '\0';
		look_at_text(walk, *word, strlen(*word));
		return;
	}
	walk->arguments = word + 1;
	look_at_script(walk, *word);
}

static void behind_wrapper(struct walk *walk, const struct wrapper *wrapper)
{
	char **words = walk->words;
	bool clears;

	walk->words = NULL;
	switch (wrapper->way) {
	case WRAPPER_ENV:
		words = wrapper_env(words, act_of_env, walk);
		walk->words = walk->chain->cause == CAUSE_NOT_FOUND ? NULL : words;
		break;
	case WRAPPER_TOOL:
		walk->words = words;
		walk->words = behind_tool(walk);
		break;
	case WRAPPER_SHELL:
		walk->words = words;
		behind_shell(walk);
		break;
	case WRAPPER_KEEPS:
	case WRAPPER_CLEARS:
	case WRAPPER_ELSEWHERE:
		walk->words = wrapper_command(wrapper, words, &clears);
		if (wrapper_is_blind(wrapper))
			snprintf(walk->chain->blind, sizeof(walk->chain->blind), "%s",
				 wrapper->name);
		if (wrapper->way == WRAPPER_ELSEWHERE)
			lose(walk, CAUSE_ELSEWHERE, wrapper->name);
		else if (clears || wrapper->way == WRAPPER_CLEARS)
			lose(walk, CAUSE_LOST, wrapper->name);
		break;
	}
}

/* A script: its interpreter, with the words that the kernel gives it. */
static void behind_script(struct walk *walk, struct chain_link *link)
{
	const int before = *link->argument ? 3 : 2;
	int count = 0;

	while (walk->words[count])
		count++;
	if (count > ROOM - before)
		count = ROOM - before;
	/* The words behind its name, which may stand in the room already. */
	memmove(walk->room + before, walk->words + 1, (size_t)(count - 1) * sizeof(char *));
	walk->room[before + count - 1] = NULL;
	walk->room[0] = link->interpreter;
	walk->room[1] = link->argument;
	walk->room[before - 1] = link->path;
	walk->words = walk->room;
	walk->by_path = true;
}

static void judge_program(struct walk *walk, int fd, struct chain_link *link)
{
	const struct wrapper *wrapper = wrapper_find(link->path);
	enum reach reach = reach_of_file(fd, link->path, walk->library, &link->file);
	struct chain *chain = walk->chain;

	if (reach == REACH_PRIVILEGED && chain->everywhere)
		reach = REACH_YES;

	if (*link->file.linker && access(link->file.linker, F_OK) < 0) {
		chain->cause = CAUSE_NO_LINKER;
		walk->words = NULL;
		return;
	}
	/* What ld.so drops for a program with privileges, its children don't have either. */
	if (reach == REACH_PRIVILEGED && wrapper)
		lose(walk, CAUSE_LOST, wrapper->name);
	if (wrapper)
		behind_wrapper(walk, wrapper);
	else
		walk->words = NULL;
	if (walk->words || chain->cause == CAUSE_SCRIPT || chain->cause == CAUSE_NOT_FOUND)
		return;
	if (reach != REACH_YES && (!wrapper || chain->cause == CAUSE_NONE)) {
		chain->cause = walk->in_shell ? CAUSE_EXEC : CAUSE_REACH;
		chain->reach = reach;
	} else if (is_preloaded(walk)) {
		chain->cause = CAUSE_NONE;
	}
}

/* Where it lies. What a shell may have changed its folder for is not known to be missing. */
static bool find(struct walk *walk, struct chain_link *link)
{
	const char *name = walk->words[0];
	bool found;

	if (walk->by_path) {
		snprintf(link->path, sizeof(link->path), "%s", name);
		found = access(name, X_OK) == 0;
	} else {
		found = reach_find(name, link->path);
		snprintf(walk->chain->prog, sizeof(walk->chain->prog), "%s",
			 base_name(found ? link->path : name));
	}
	if (!found && !walk->in_shell)
		say_by(walk->chain, CAUSE_NOT_FOUND, name);
	walk->by_path = false;
	return found;
}

/* Without a "#!" line: execvp has a shell run it. */
static bool is_text(const char *bytes, size_t len)
{
	return !memchr(bytes, '\0', len) && memcmp(bytes, "\177ELF", len < 4 ? len : 4) != 0;
}

static void follow_one(struct walk *walk)
{
	struct chain_link *link = &walk->chain->links[walk->chain->count];
	char line[SCRIPT_LINE];
	ssize_t len;
	int fd;

	if (!find(walk, link)) {
		walk->words = NULL;
		return;
	}
	walk->chain->count++;
	fd = open(link->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	len = fd < 0 ? -1 : pread(fd, line, sizeof(line), 0);
	link->is_script =
		len > 0 && script_line(line, (size_t)len, link->interpreter, link->argument);
	link->is_read = len >= 0;
	if (len > 0 && !link->is_script && is_text(line, (size_t)len)) {
		strcpy(link->interpreter, "/bin/sh");
		*link->argument = '\0';
		link->is_script = true;
	}
	if (link->is_script)
		behind_script(walk, link);
	else
		judge_program(walk, fd, link);
	if (fd >= 0)
		close(fd);
}

void chain_follow(struct chain *chain, char **words, const char *library)
{
	struct walk walk = {.chain = chain, .library = library, .words = words};

	memset(chain, 0, sizeof(*chain));
	chain->everywhere = preload_everywhere(library);
	while (walk.words && chain->count < CHAIN_LINKS)
		follow_one(&walk);
	if (walk.words)
		chain->cause = CAUSE_ENDLESS;
}
