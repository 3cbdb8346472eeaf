/* SPDX-License-Identifier: MIT */
/*
 * chain.h - a command followed as far as can be seen: from wrappers to what they start, from
 * scripts to their interpreters, to the program that the verdict is about.
 */
#ifndef CLI_CHAIN_H
#define CLI_CHAIN_H

#include <stdbool.h>

#include "program/reach.h"
#include "program/script.h"

enum { CHAIN_LINKS = 12 }; /* more are not followed */

enum chain_cause {
	CAUSE_NONE,	 /* it is reached */
	CAUSE_NOT_FOUND, /* no such program */
	CAUSE_NO_LINKER, /* its dynamic linker is not there: it can't be executed */
	CAUSE_ENDLESS,	 /* scripts and wrappers without an end */
	CAUSE_REACH,	 /* its file says so: reach */
	CAUSE_LOST,	 /* LD_PRELOAD is lost on the way */
	CAUSE_ELSEWHERE, /* another process starts it */
	CAUSE_SCRIPT,	 /* a line of the shell's takes the library from what it starts */
	CAUSE_EXEC,	 /* what the shell becomes in the end is not reached */
};

struct chain_link {
	char path[PATH_MAX];
	char interpreter[SCRIPT_LINE], argument[SCRIPT_LINE]; /* of a script */
	bool is_script;
	bool is_read; /* else nothing is known of it */
	struct elf_file file;
};

struct chain {
	struct chain_link links[CHAIN_LINKS];
	unsigned int count;
	enum chain_cause cause;
	enum reach reach;	  /* CAUSE_REACH, CAUSE_EXEC: of the last link */
	char by[PATH_MAX];	  /* CAUSE_LOST, _ELSEWHERE: the wrapper; NOT_FOUND: the name */
	char script[PATH_MAX];	  /* in which shell has its lines; "": behind -c */
	struct script_view shell; /* CAUSE_SCRIPT, _EXEC; execs: also where it is not followed */
	char blind[32];		  /* a wrapper of which is not seen what it starts; "": none */
	bool everywhere;	  /* /etc/ld.so.preload has the library: each program loads it */
	char prog[16];		  /* the process's name, as settings compare it */
};

/*
 * Follow it. What wrappers would do to the environment and the folder is done to our own: it has
 * the library in LD_PRELOAD, and the settings, as tcpshim run would have given them.
 */
void chain_follow(struct chain *chain, char **words, const char *library);

#endif
