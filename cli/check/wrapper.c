/* SPDX-License-Identifier: MIT */
/*
 * wrapper.c - see wrapper.h. The options are those of coreutils, util-linux and the like: enough
 * of them to find where they end.
 */
#include "check/wrapper.h"

#include <stdlib.h>
#include <string.h>

#define SETPRIV                                                                                    \
	"reuid ruid euid regid rgid egid groups inh-caps ambient-caps bounding-set securebits "    \
	"pdeathsig selinux-label apparmor-profile "
#define SYSTEMD_RUN                                                                                \
	"unit property description slice uid gid nice working-directory setenv host machine "      \
	"service-type on-active on-calendar timer-property path-property socket-property "

/* As operands: what it starts is not to be found in its words, or lies elsewhere. */
enum { UNSEEN = 99 };

static const struct wrapper wrappers[] = {
	{"nohup", WRAPPER_KEEPS, "", "", 0, NULL},
	{"setsid", WRAPPER_KEEPS, "", "", 0, NULL},
	{"nice", WRAPPER_KEEPS, "n", "adjustment ", 0, NULL},
	{"ionice", WRAPPER_KEEPS, "cn", "class classdata ", 0, NULL},
	{"timeout", WRAPPER_KEEPS, "ks", "kill-after signal ", 1, NULL},
	{"stdbuf", WRAPPER_KEEPS, "ioe", "input output error ", 0, NULL},
	{"taskset", WRAPPER_KEEPS, "", "", 1, NULL},
	{"chrt", WRAPPER_KEEPS, "TPD", "sched-runtime sched-period sched-deadline ", 1, NULL},
	{"time", WRAPPER_KEEPS, "fo", "format output ", 0, NULL},
	{"strace", WRAPPER_KEEPS, "abeEIoOpPsSuUX", "", 0, NULL},
	{"valgrind", WRAPPER_KEEPS, "", "", 0, NULL},
	{"setpriv", WRAPPER_KEEPS, "", SETPRIV, 0, "--reset-env "},
	{"runuser", WRAPPER_KEEPS, "ugGw", "user group supp-group whitelist-environment ", 0,
	 "- -l --login "},
	{"chroot", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"unshare", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"nsenter", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"xargs", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"script", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"watch", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"start-stop-daemon", WRAPPER_KEEPS, "", "", UNSEEN, NULL},
	{"su", WRAPPER_KEEPS, "cgGsw", "command group supp-group shell ", UNSEEN, "- -l --login "},
	{"sudo", WRAPPER_CLEARS, "aCDghpRrTtUu",
	 "user group host prompt chroot chdir role type command-timeout close-from ", 0, NULL},
	{"doas", WRAPPER_CLEARS, "Cu", "", 0, NULL},
	{"pkexec", WRAPPER_CLEARS, "", "user ", 0, NULL},
	{"systemd-run", WRAPPER_ELSEWHERE, "pHMuE", SYSTEMD_RUN, 0, NULL},
	{"docker", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"podman", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"kubectl", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"ssh", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"at", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"batch", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"systemctl", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"service", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"machinectl", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"tmux", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"flatpak", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"snap", WRAPPER_ELSEWHERE, "", "", UNSEEN, NULL},
	{"env", WRAPPER_ENV, "", "", 0, NULL},
	{"tcpshim", WRAPPER_TOOL, "", "", 0, NULL},
	{"sh", WRAPPER_SHELL, "", "", 0, NULL},
	{"ash", WRAPPER_SHELL, "", "", 0, NULL},
	{"bash", WRAPPER_SHELL, "", "", 0, NULL},
	{"dash", WRAPPER_SHELL, "", "", 0, NULL},
	{"ksh", WRAPPER_SHELL, "", "", 0, NULL},
	{"zsh", WRAPPER_SHELL, "", "", 0, NULL},
};

/* The dynamic linker is a program too: ld.so ./server. */
static const struct wrapper linker = {
	"ld.so", WRAPPER_KEEPS, "", "library-path inhibit-rpath audit preload argv0 ", 0, NULL};

static bool begins(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

const struct wrapper *wrapper_find(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++)
		if (strcmp(name, wrappers[i].name) == 0)
			return &wrappers[i];
	return begins(name, "ld-linux") || begins(name, "ld.so") ? &linker : NULL;
}

bool wrapper_loses(const char *name)
{
	const struct wrapper *wrapper = wrapper_find(name);

	return wrapper && (wrapper->way == WRAPPER_CLEARS ||
			   (wrapper->way == WRAPPER_ELSEWHERE && wrapper->operands != UNSEEN));
}

/* A list in which each word has a blank behind it. */
static bool list_has(const char *list, const char *word, size_t len)
{
	for (; *list; list += strcspn(list, " ") + 1)
		if (strncmp(list, word, len) == 0 && list[len] == ' ')
			return true;
	return false;
}

/* Does this option have its value in the next word? */
static bool takes_next(const struct wrapper *wrapper, const char *word)
{
	size_t len;

	if (word[1] != '-') {
		const char *at = word + 1;

		while (*at && !strchr(wrapper->letters, *at))
			at++;
		return *at && !at[1];
	}
	len = strcspn(word + 2, "=");
	if (word[2 + len])
		return false;
	return list_has(wrapper->names, word + 2, len);
}

bool wrapper_is_blind(const struct wrapper *wrapper)
{
	return wrapper->way == WRAPPER_KEEPS && wrapper->operands == UNSEEN;
}

char **wrapper_command(const struct wrapper *wrapper, char **words, bool *ret_clears)
{
	*ret_clears = false;
	for (words++; *words && **words == '-'; words++) {
		if (strcmp(*words, "--") == 0) {
			words++;
			break;
		}
		if (wrapper->clears && list_has(wrapper->clears, *words, strlen(*words)))
			*ret_clears = true;
		if (takes_next(wrapper, *words) && words[1])
			words++;
	}
	if (wrapper->operands == UNSEEN)
		return NULL;
	for (int i = 0; i < wrapper->operands && *words; i++)
		words++;
	/* sudo NAME=VALUE command */
	while (wrapper->way == WRAPPER_CLEARS && *words && strchr(*words, '='))
		words++;
	return *words ? words : NULL;
}

/* How many of the next words are values of the letters in this one: -euo pipefail. */
static size_t shell_values(const char *word)
{
	size_t values = 0;

	if (strcmp(word, "--rcfile") == 0 || strcmp(word, "--init-file") == 0)
		return 1;
	if (word[0] == '-' && word[1] == '-')
		return 0;
	for (; *word; word++)
		values += *word == 'o' || *word == 'O';
	return values;
}

char **wrapper_shell(char **words, enum shell_reads *ret_reads)
{
	*ret_reads = SHELL_SCRIPT;
	for (words++; *words && (**words == '-' || **words == '+'); words++) {
		const char *word = *words;

		if (strcmp(word, "-") == 0 || strcmp(word, "--") == 0) {
			words++;
			break;
		}
		if (word[0] == '-' && word[1] != '-' && strchr(word, 'c'))
			*ret_reads = SHELL_TEXT;
		else if (word[0] == '-' && word[1] != '-' && strchr(word, 's'))
			*ret_reads = SHELL_INPUT;
		for (size_t n = shell_values(word); n && words[1]; n--)
			words++;
	}
	return *words && *ret_reads != SHELL_INPUT ? words : NULL;
}

/* Into words, without a thought for quotes. */
static int split_words(char *text, char **ret_words, int most)
{
	int count = 0;

	while (*(text += strspn(text, " \t")) && count < most) {
		const size_t len = strcspn(text, " \t");
		const bool last = !text[len];

		text[len] = '\0';
		ret_words[count++] = text;
		text += len + !last;
	}
	return count;
}

/* What -S has made: the words lead into it until the end. */
static struct kept {
	struct kept *next;
	char *words[];
} * kept;

void wrapper_free(void)
{
	while (kept) {
		struct kept *next = kept->next;

		free(kept);
		kept = next;
	}
}

/* -S: a word for its own, those in it, and those behind it. NULL where memory is out. */
static char **split_and_join(const char *text, char **rest)
{
	enum { MOST = 64 };
	const size_t size = strlen(text) + 1;
	struct kept *more;
	size_t behind = 0;
	char *copy;
	int count;

	while (rest[behind])
		behind++;
	more = calloc(1, sizeof(*more) + (MOST + behind + 2) * sizeof(char *) + size);
	if (!more)
		return NULL;
	copy = memcpy(&more->words[MOST + behind + 2], text, size);
	more->next = kept;
	kept = more;
	more->words[0] = copy;
	count = split_words(copy, more->words + 1, MOST);
	memcpy(more->words + 1 + count, rest, (behind + 1) * sizeof(char *));
	return more->words;
}

/* The value of that option of env's, in the same word or the next one; NULL: it is another. */
static const char *value_of(char ***words, char letter, const char *name)
{
	const char *word = **words;
	const size_t len = strlen(name);

	if (word[0] == '-' && word[1] == letter)
		return word[2] ? word + 2 : *++*words;
	if (begins(word, "--") && strncmp(word + 2, name, len) == 0) {
		if (word[2 + len] == '=')
			return word + 2 + len + 1;
		return word[2 + len] ? NULL : *++*words;
	}
	return NULL;
}

/* One option of env's. False where a value is missing, and the words are at their end. */
static bool env_option(char ***words, env_visit *visit, void *arg)
{
	const char *word = **words, *value;

	if ((value = value_of(words, 'u', "unset")) && **words)
		visit(ENV_UNSET, value, arg);
	else if (**words && (value = value_of(words, 'C', "chdir")) && **words)
		visit(ENV_CHDIR, value, arg);
	else if (strcmp(word, "-") == 0 || strcmp(word, "--ignore-environment") == 0 ||
		 (word[1] != '-' && strchr(word, 'i') && !strchr(word, 'S')))
		visit(ENV_CLEAR, word, arg);
	return **words != NULL;
}

/* Is it -S, also behind letters that have no value (-vS, -iS)? Its text. */
static const char *split_text(char ***words)
{
	const char *word = **words, *letter;

	if (begins(word, "--"))
		return value_of(words, '\0', "split-string");
	letter = strpbrk(word, "SuC");
	if (!letter || *letter != 'S')
		return NULL;
	return letter[1] ? letter + 1 : *++*words;
}

char **wrapper_env(char **words, env_visit *visit, void *arg)
{
	const char *text;

	for (words++; *words && **words == '-' && strcmp(*words, "--") != 0; words++) {
		const bool clears =
			(*words)[1] != '-' && strcspn(*words, "i") < strcspn(*words, "S");

		text = split_text(&words);
		if (!*words)
			return NULL;
		if (text) {
			if (clears)
				visit(ENV_CLEAR, "-i", arg);
			/* What -S holds may begin with options of env itself. */
			words = split_and_join(text, words + 1);
			if (!words)
				return NULL;
		} else if (!env_option(&words, visit, arg)) {
			return NULL;
		}
	}
	if (*words && strcmp(*words, "--") == 0)
		words++;
	for (; *words && strchr(*words, '='); words++)
		visit(ENV_SET, *words, arg);
	return *words ? words : NULL;
}
