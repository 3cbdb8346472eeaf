/* SPDX-License-Identifier: MIT */
/*
 * trace.h - the lives of sockets as a trace for Perfetto (ui.perfetto.dev): TrackEvent in protobuf,
 * written while the events are read.
 *
 * A track a process, with a track a socket. On it a slice a state: as long as the events prove it,
 * and behind it, named so, as long as it may have lasted; and what the kernel keeps of it, by its
 * timer. What was passed, and each call, is an instant. The two ends of a connection are joined by
 * a flow.
 */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stdio.h>

#include "report/report.h"

/* The first packet, which is always the same. */
#define TRACE_BEGINS "\n\004h\001P\001"

struct trace {
	struct tally_watch watch; /* for the tally */
	const struct report *report;
	FILE *out;
	struct table processes; /* those that have a track */
	uint64_t left_out;	/* packets, for want of memory */
};

/* All is zero before. End it in any case, after the tally. */
void trace_begin(struct trace *trace, const struct report *report, FILE *out);
void trace_end(struct trace *trace);

#endif
