/* SPDX-License-Identifier: MIT */
/*
 * report.h - the parts of tcpshim report.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <sys/types.h>

#include "events/inputs.h"
#include "report/tally.h"

/* One that was named; or a folder, whose files are of one. The name is not ended. */
struct host {
	const char *name;
	size_t len;
	dev_t dev; /* of the folder; 0: it was named */
	ino_t ino;
};

struct report {
	struct inputs inputs;
	struct tally tally;
	struct host *hosts; /* what a host's number stands for */
	uint32_t host_count;
};

void report_text(const struct report *report);
void report_json(const struct report *report);

/* A kind of findings: its key in JSON, and what it is called. */
const char *report_found_key(enum found found);
const char *report_found_name(enum found found);

/* What an enum reset_cause is called. */
const char *report_reset_cause(uint8_t cause);

#endif
