/* SPDX-License-Identifier: MIT */
/*
 * check.h - all that tcpshim check found out, and its verdict.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <sys/types.h>

#include "check/chain.h"
#include "check/log_place.h"
#include "facts/settings.h"
#include "program/kernel.h"
#include "run_options.h"

enum answer { ANSWER_YES, ANSWER_PART, ANSWER_NO };

struct check {
	const char *command; /* its first word, as it was given */
	char library[PATH_MAX];
	const char *library_fault; /* why nothing loads it; NULL: it can be loaded */
	char user[64];
	uid_t uid;
	struct chain chain;
	struct settings set;
	const char *values[SETTINGS]; /* as the program would find them; NULL: not set */
	bool refused[SETTINGS];	      /* not understood: the default counts */
	struct log_place log;
	struct kernel kernel;
};

struct check_verdict {
	enum answer answer;
	const char *cause; /* a word for programs */
	char text[2 * PATH_MAX];
	char cure[1024]; /* "": none is needed */
};

void check_judge(struct check_verdict *ret, const struct check *check);

/* On standard output. */
void check_print_text(const struct check *check, const struct check_verdict *verdict);
void check_print_json(const struct check *check, const struct check_verdict *verdict);

#endif
