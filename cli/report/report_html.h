/* SPDX-License-Identifier: MIT */
/*
 * report_html.h - tcpshim report as a page: one file, without a script, that asks for nothing.
 */
#ifndef CLI_REPORT_HTML_H
#define CLI_REPORT_HTML_H

#include "report/html.h"
#include "report/report.h"
#include "report/story.h"

/* False for want of memory. */
bool report_html(FILE *out, const struct report *report, struct story *story);

/* One connection, as a table: who called what at which end, the states, and the time between. */
void report_ladder(FILE *part, const struct report *report, const struct ladder *ladder,
		   size_t number);

#endif
