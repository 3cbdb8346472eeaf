/* SPDX-License-Identifier: MIT */
/*
 * log_place.h - would the log be opened? Judged as the library does it at load, and nothing is
 * made: what is not there yet would be.
 */
#ifndef CLI_LOG_PLACE_H
#define CLI_LOG_PLACE_H

#include <limits.h>
#include <stdbool.h>

#include "facts/settings.h"

struct log_place {
	char where[PATH_MAX + 8]; /* as TCPSHIM_LOG has it, %p and %n filled in */
	const char *fault;	  /* why nothing would be logged; NULL: it would */
	bool is_new;		  /* nothing is there yet */
	bool is_other;		  /* ring: another build's, which would stay as it is */
	bool needs_reader;	  /* a FIFO: is it read at that time? */
};

/* For a process of that name. */
void log_place_judge(struct log_place *ret, const struct settings *set, const char *prog);

#endif
