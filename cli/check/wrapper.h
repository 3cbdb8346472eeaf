/* SPDX-License-Identifier: MIT */
/*
 * wrapper.h - programs that start another one, which their arguments name: where it stands
 * there, and what becomes of the environment on the way. Words in, words out.
 */
#ifndef CLI_WRAPPER_H
#define CLI_WRAPPER_H

#include <stdbool.h>

enum wrapper_way {
	WRAPPER_KEEPS,	   /* the environment */
	WRAPPER_CLEARS,	   /* of it, nothing is left that matters here */
	WRAPPER_ELSEWHERE, /* another process starts it, from an environment of its own */
	WRAPPER_ENV,	   /* env: as its words say */
	WRAPPER_TOOL,	   /* tcpshim run: the library is put in */
	WRAPPER_SHELL,	   /* a script, or the text behind -c */
};

struct wrapper {
	const char *name;
	enum wrapper_way way;
	const char *letters; /* the options that have a value of their own: letters, */
	const char *names;   /* and names, with a blank behind each */
	int operands;	     /* before the command */
	const char *clears;  /* the options that make of KEEPS a CLEARS, a blank behind each */
};

/* By the last part of its path; NULL: none that is known. */
const struct wrapper *wrapper_find(const char *path);

/*
 * Does what it starts here lose its environment, whatever its options? (What docker or ssh do is
 * mostly something else.)
 */
bool wrapper_loses(const char *name);

/* Does it start another one that is never seen, with the environment that it has? */
bool wrapper_is_blind(const struct wrapper *wrapper);

/*
 * The words of the command that it starts, within words (whose first is the wrapper's own name);
 * NULL: none, or it is not seen. *ret_clears: an option says that the environment is lost.
 */
char **wrapper_command(const struct wrapper *wrapper, char **words, bool *ret_clears);

/* What a shell's first word behind its options is: a script's path, or with -c its text. */
enum shell_reads { SHELL_SCRIPT, SHELL_TEXT, SHELL_INPUT };

/* From that word on; NULL: there is none, and it reads its input. */
char **wrapper_shell(char **words, enum shell_reads *ret_reads);

/* What env is asked to do before it starts its command. */
enum env_act { ENV_SET, ENV_UNSET, ENV_CLEAR, ENV_CHDIR };
typedef void env_visit(enum env_act act, const char *word, void *arg);

/*
 * Walk over that. Return the words of the command, NULL where there is none; those that stood in
 * one word (-S) stay until wrapper_free.
 */
char **wrapper_env(char **words, env_visit *visit, void *arg);
void wrapper_free(void);

#endif
