/* SPDX-License-Identifier: MIT */
/*
 * source.h - the events of a flight recorder, or of a log in JSON, one after the other.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events/event_json.h"
#include "events/lines.h"
#include "events/ring_reader.h"
#include "reuse/event.h"

/* A flight recorder: what two looks have found. */
struct source_ring {
	struct ring_reader reader;
	size_t at, shown; /* the next of those that are to be shown */
	unsigned int looks;
	bool more;	  /* something has come since */
	bool waits;	  /* for a ring that is to be, which has been told */
	int64_t written;  /* when somebody did */
	uint64_t unsound; /* records that hold what no event can: left out */
};

/* A log in JSON. */
struct source_lines {
	struct lines lines;
	struct event_json reader;
	uint64_t left_out; /* lines that are no event */
	off_t until;	   /* what a plain file has when it is opened; 0: unknown */
};

/* All else is zero before source_open. */
struct source {
	const char *who;  /* the subcommand, in whose name is told what is wrong */
	const char *path; /* "-": standard input */
	bool follow;
	bool quiet; /* while it is opened, and closed: what others read it for is told there */
	int fd;
	int watch; /* inotify, on what is followed; -1: none */
	enum { SOURCE_UNDECIDED, SOURCE_RING, SOURCE_LINES } kind;
	bool paused;	  /* since the last event */
	uint64_t events;  /* until now */
	uint64_t unknown; /* of a version, or of a call, that this build does not know: left out */
	struct source_ring ring;
	struct source_lines log;
};

enum source_got {
	SOURCE_EVENT,
	SOURCE_PAUSE, /* the next may take a while: write what is to be written */
	SOURCE_END,
	SOURCE_FAILED, /* and why has been told */
};

/* One that is not opened yet; NULL for want of memory. And the end of it, when it is closed. */
struct source *source_make(const char *who, const char *path);
void source_free(struct source *source);

/* False where it can't be read, and why has been told. Close it in any case. */
bool source_open(struct source *source);

/*
 * The next one. The places that it names, and the sentences that its log has, are known to the
 * renderers until the next call.
 */
enum source_got source_next(struct source *source, struct event *ret);

/* What was left out is told. */
void source_close(struct source *source);

#endif
