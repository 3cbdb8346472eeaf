/* SPDX-License-Identifier: MIT */
/*
 * gate_options.h - the options of tcpshim run that make a gate of it: words in, values out.
 */
#ifndef CLI_GATE_OPTIONS_H
#define CLI_GATE_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "facts/out.h"

enum gate_code {
#define CODE(id, name, about) GATE_##id,
#include "gate/gate_codes.def"
	GATE_CODES
};

const char *gate_code_name(enum gate_code code);

/* GATE_CODES where there is none of that name. */
enum gate_code gate_code_find(const char *name, size_t len);

struct gate_options {
	bool on;		  /* --fail-on was given; without it the others mean nothing */
	uint32_t codes;		  /* a bit each */
	uint32_t close_wait_ms;	  /* it is a finding from then on */
	uint32_t grace_ms;	  /* how long the rest of the tree is waited for */
	bool annotate;		  /* --annotate=github */
	const char *junit;	  /* a path; NULL: none */
	const char *suppressions; /* likewise */
	const char *other;	  /* the last of these beside --fail-on; NULL: none */
};

enum { GATE_OPTIONS = 5 };

/* For getopt_long: as many rows, and the first one's val. */
void gate_options_list(struct option list[GATE_OPTIONS], int first);

/* As it is where no option is given. */
void gate_options_begin(struct gate_options *options);

/* The option of that row. The value may be NULL, and is kept. False: in *wrong, why. */
bool gate_options_take(struct gate_options *options, int row, const char *value, struct out *wrong);

/* Would --fail-on take it? */
bool gate_options_is_list(const char *word);

/* The options on standard output. */
void gate_options_help(void);

#endif
