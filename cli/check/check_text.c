/* SPDX-License-Identifier: MIT */
/*
 * check_text.c - what tcpshim check found out, for people: the verdict, then a few rows that fit
 * on a screen of 80 columns.
 */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check/check.h"
#include "facts/out.h"

enum { COLUMNS = 80, INDENT = 10, LINKS_SHOWN = 4 };

/* Words, wrapped; lines after the first begin at that column, where the first one is already. */
static void wrap(const char *words, size_t column)
{
	size_t at = column;

	while (*words) {
		const size_t len = strcspn(words, " ");
		const size_t width = out_width(words, words + len);

		if (at > column && at + 1 + width > COLUMNS) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		fwrite(words, 1, len, stdout);
		at += width;
		words += len + strspn(words + len, " ");
	}
	putchar('\n');
}

/* What is not ours may be in it: nothing in it moves a cursor. */
__attribute__((format(printf, 2, 3))) static void row(const char *label, const char *format, ...)
{
	char words[3 * PATH_MAX], plain[3 * PATH_MAX];
	struct out out = out_into(plain, sizeof(plain) - 1);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	out_plain(&out, words, strlen(words));
	*out.at = '\0';
	printf("%-*s", INDENT, label);
	wrap(plain, INDENT);
}

static void print_verdict(const struct check_verdict *verdict)
{
	static const char *const answers[] = {"yes", "in part", "no"};
	char words[3 * PATH_MAX], plain[3 * PATH_MAX];
	struct out out = out_into(plain, sizeof(plain) - 1);

	snprintf(words, sizeof(words), "%s: %s. %s", answers[verdict->answer], verdict->text,
		 verdict->cure);
	out_plain(&out, words, strlen(words));
	*out.at = '\0';
	wrap(plain, 0);
	putchar('\n');
}

static const char *kind_of(const struct chain_link *link)
{
	if (!link->is_read)
		return "can't be read, so nothing is known of it";
	if (link->is_script)
		return "a script";
	if (!link->file.is_elf)
		return "no ELF file; a shell runs it";
	if (link->file.word_size != ELFCLASS64)
		return "of another word size";
	if (link->file.is_go)
		return *link->file.linker ? "made by Go, dynamically linked" : "made by Go";
	return *link->file.linker ? "dynamically linked" : "not dynamically linked";
}

static bool is_of_glibc(const char *linker)
{
	const char *slash = strrchr(linker, '/'), *name = slash ? slash + 1 : linker;

	return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld.so", 5) == 0;
}

static void print_links(const struct chain *chain)
{
	for (unsigned int i = 0; i < chain->count && i < LINKS_SHOWN; i++) {
		const struct chain_link *link = &chain->links[i];

		row(i ? "" : "program", "%s: %s", link->path, kind_of(link));
		if (*link->file.linker && !is_of_glibc(link->file.linker))
			row("", "its libc is not glibc (%s): %s", link->file.linker,
			    strstr(link->file.linker, "musl") ? "reached all the same, but for "
								"call stacks"
							      : "nothing is known of that one");
	}
	if (chain->count > LINKS_SHOWN)
		row("", "and %u more", chain->count - LINKS_SHOWN);
	if (chain->count && chain->links[chain->count - 1].file.loads_modules)
		row("", "can load modules; of those loaded with RTLD_DEEPBIND, one without a slash "
			"in its name is not reached");
	if (*chain->blind)
		row("", "%s starts another program, which is not looked at", chain->blind);
	if (chain->shell.execs.line && chain->cause == CAUSE_NONE)
		row("", "line %u starts another program, which is not looked at: %s",
		    chain->shell.execs.line, chain->shell.execs.words);
}

static void print_user(const struct check *check)
{
	row("user", "%s (%u)%s%s", check->user, check->uid,
	    check->uid ? ": the notes name other users' sockets by user alone" : "",
	    check->kernel.no_new_privs ? "; no new privileges" : "");
}

static void print_settings(const struct check *check)
{
	bool any = false;

	for (int i = 0; i < SETTINGS; i++) {
		const char *value = check->values[i];

		if (!value)
			continue;
		row(any ? "" : "settings", "%s=%.200s%s%s", settings_table[i].variable, value,
		    check->refused[i] ? " is not understood; using " : "",
		    check->refused[i] ? settings_table[i].otherwise : "");
		any = true;
	}
}

static void print_log(const struct check *check)
{
	const struct log_place *log = &check->log;
	const char *what = "";

	if (log->fault)
		what = ": can't be opened";
	else if (log->is_new)
		what = ": would be made";
	else if (log->is_other)
		what = ": another build's recorder; ours would be made beside it";
	else if (log->needs_reader)
		what = ": a FIFO; without a reader nothing is logged";
	row("log", "%s%s%s%s", log->where, what, log->fault ? ", " : "",
	    log->fault ? log->fault : "");
}

struct list {
	char text[512];
	size_t len;
};

static void add(struct list *list, bool wanted, const char *what)
{
	if (wanted)
		list->len +=
			(size_t)snprintf(list->text + list->len, sizeof(list->text) - list->len,
					 "%s%s", list->len ? ", " : "", what);
}

static void print_kernel(const struct kernel *kernel)
{
	struct list missing = {.len = 0};

	add(&missing, !kernel->tcp_diag, "sock_diag (states after close, who has a port)");
	add(&missing, !kernel->mptcp_diag, "sock_diag of MPTCP");
	add(&missing, !kernel->lists_bound, "sockets that are only bound (Linux 6.8)");
	add(&missing, !kernel->netns_cookie, "SO_NETNS_COOKIE (5.14)");
	add(&missing, !kernel->close_range, "close_range (5.9; whose a port is)");
	add(&missing, !kernel->kcmp, "kcmp (a raw fork)");
	add(&missing, !kernel->reads_proc, "/proc (whose a port is)");
	row("kernel", "Linux %s: %s%s", kernel->release,
	    missing.len ? "the library must do without " : "all that the library asks for is there",
	    missing.text);
	if (kernel->filtered)
		row("", "a seccomp filter is in force");
	if (kernel->no_stacks)
		row("stacks", "none (TCPSHIM_STACK): %s", kernel->no_stacks);
}

void check_print_text(const struct check *check, const struct check_verdict *verdict)
{
	print_verdict(verdict);
	print_links(&check->chain);
	row("library", "%s%s", check->library,
	    check->chain.everywhere ? ": in /etc/ld.so.preload, too" : "");
	print_user(check);
	print_settings(check);
	print_log(check);
	print_kernel(&check->kernel);
}
