/* SPDX-License-Identifier: MIT */
/*
 * check_judge.c - the verdict, and what would cure it, in sentences.
 */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>

#include "check/check.h"

static void say(struct check_verdict *ret, enum answer answer, const char *cause)
{
	ret->answer = answer;
	ret->cause = cause;
}

__attribute__((format(printf, 2, 3))) static void text(struct check_verdict *ret,
						       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret->text, sizeof(ret->text), format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void cure(struct check_verdict *ret,
						       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret->cure, sizeof(ret->cure), format, arguments);
	va_end(arguments);
}

static void judge_reach(struct check_verdict *ret, enum reach reach, const struct elf_file *file)
{
	static const char *const codes[] = {
		[REACH_YES] = "none",
		[REACH_STATIC] = "static",
		[REACH_PRIVILEGED] = "privileged",
		[REACH_MACHINE] = "machine",
		[REACH_GO] = "go",
	};

	say(ret, ANSWER_NO, codes[reach]);
	switch (reach) {
	case REACH_STATIC:
		cure(ret, "tcpshim run --supervise follows it from outside. Or link it dynamically "
			  "(without -static).");
		break;
	case REACH_GO:
		cure(ret, "It needs no rescue: what Go's net package listens on has SO_REUSEADDR. "
			  "tcpshim run --log=stderr follows it from outside, and shows its calls.");
		break;
	case REACH_PRIVILEGED:
		cure(ret, "Start it as a user who has these rights already (sudo tcpshim run …); "
			  "instead of file capabilities, give it ambient ones (setpriv, systemd's "
			  "AmbientCapabilities=).");
		break;
	case REACH_MACHINE:
		cure(ret, "It needs a libreuse.so of its own%s: INSTALLATION in libreuse.so(8).",
		     file->word_size == ELFCLASS32 ? ", of 32 bits" : "");
		break;
	case REACH_YES:
		break;
	}
}

static const char *last_path(const struct chain *chain)
{
	return chain->count ? chain->links[chain->count - 1].path : "";
}

/* Where the line stands. */
static const char *shell_text(const struct chain *chain)
{
	return *chain->script ? chain->script : "the text behind -c";
}

static void judge_way(struct check_verdict *ret, const struct chain *chain)
{
	const struct script_place *loses = &chain->shell.loses, *execs = &chain->shell.execs;

	switch (chain->cause) {
	case CAUSE_LOST:
		say(ret, ANSWER_NO, "lost");
		text(ret, "%s takes LD_PRELOAD away from what it starts", chain->by);
		cure(ret, "Put the tool behind it: %s … tcpshim run COMMAND.", chain->by);
		break;
	case CAUSE_ELSEWHERE:
		say(ret, ANSWER_NO, "elsewhere");
		text(ret, "%s has another process start it, which does not pass LD_PRELOAD on",
		     chain->by);
		cure(ret,
		     "Put the tool behind it, where the program is started: "
		     "%s … tcpshim run COMMAND.",
		     chain->by);
		break;
	case CAUSE_SCRIPT:
		say(ret, ANSWER_PART, "script");
		text(ret,
		     "line %u of %s takes LD_PRELOAD away from what is started there or after it: "
		     "%s",
		     loses->line, shell_text(chain), loses->words);
		cure(ret, "Put tcpshim run into that script, before what it starts.");
		break;
	case CAUSE_EXEC:
		judge_reach(ret, chain->reach, &chain->links[chain->count - 1].file);
		ret->answer = ANSWER_PART;
		text(ret, "line %u of %s becomes %s, which %s", execs->line, shell_text(chain),
		     last_path(chain), reach_words(chain->reach));
		break;
	default:
		break;
	}
}

static void judge_chain(struct check_verdict *ret, const struct chain *chain)
{
	switch (chain->cause) {
	case CAUSE_NOT_FOUND:
		say(ret, ANSWER_NO, "not-found");
		text(ret, "there is no %s that could be executed", chain->by);
		break;
	case CAUSE_NO_LINKER:
		say(ret, ANSWER_NO, "no-linker");
		text(ret, "%s can't be executed, since its dynamic linker is missing: %s",
		     last_path(chain), chain->links[chain->count - 1].file.linker);
		break;
	case CAUSE_ENDLESS:
		say(ret, ANSWER_NO, "endless");
		text(ret, "scripts or wrappers without an end, the last one is %s",
		     last_path(chain));
		break;
	case CAUSE_REACH:
		judge_reach(ret, chain->reach, &chain->links[chain->count - 1].file);
		text(ret, "%s %s", last_path(chain), reach_words(chain->reach));
		break;
	default:
		judge_way(ret, chain);
	}
}

/* Of a wrapper, what it starts. */
static const char *name_of(const struct check *check)
{
	const struct chain *chain = &check->chain;

	return chain->count > 1 && !chain->links[0].is_script ? last_path(chain) : check->command;
}

/* It would be loaded: does it do what is asked for? */
static void judge_inside(struct check_verdict *ret, const struct check *check)
{
	if (check->library_fault) {
		say(ret, ANSWER_NO, "library");
		text(ret, "%s can't be loaded: %s", check->library, check->library_fault);
		cure(ret, "Install it where %s may read and execute it.", check->user);
	} else if (!check->kernel.tells_forks) {
		say(ret, ANSWER_NO, "kernel");
		text(ret, "this kernel can't tell a forked process apart (MADV_WIPEONFORK, "
			  "Linux 4.14), so libreuse.so does nothing");
	} else if (!settings_act_in(&check->set, check->chain.prog)) {
		say(ret, ANSWER_NO, "settings");
		text(ret, "TCPSHIM_ONLY and TCPSHIM_SKIP leave a process called %s alone",
		     check->chain.prog);
		cure(ret, "Name it as --only, or leave it out of --skip.");
	} else if (check->log.fault) {
		say(ret, ANSWER_PART, "log");
		text(ret, "%s is reached, but nothing is logged: %s can't be opened (%s)",
		     name_of(check), check->log.where, check->log.fault);
		if (check->set.log == LOG_JOURNAL)
			cure(ret, "Is systemd-journald running here?");
		else
			cure(ret, "Choose a place that %s may write to.", check->user);
	}
}

void check_judge(struct check_verdict *ret, const struct check *check)
{
	*ret = (struct check_verdict){.answer = ANSWER_YES, .cause = "none"};
	text(ret, "libreuse.so reaches %s", name_of(check));
	judge_chain(ret, &check->chain);
	if (ret->answer == ANSWER_YES)
		judge_inside(ret, check);
}
