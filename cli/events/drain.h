/* SPDX-License-Identifier: MIT */
/*
 * drain.h - a flight recorder that is emptied while others fill it, by who looks often enough:
 * nobody waits here, and the writers notice nothing.
 */
#ifndef CLI_DRAIN_H
#define CLI_DRAIN_H

#include "events/ring_reader.h"
#include "reuse/event.h"

struct drain {
	int fd; /* the file; it may be empty yet. All else is zero before the first look */
	bool began;
	struct ring_reader reader;
	uint64_t unread; /* records that are no event of this build */
	bool fills;	 /* the last look has found so much that the next is to come soon */
};

/* The places that the event names are known to the renderers until the next one. */
typedef void drain_visit(const struct event *ev, void *arg);

/*
 * What has come since the last look, in order of time; of what is just being written some is left
 * for the next one. The last look leaves nothing. False: errno tells why.
 */
bool drain_look(struct drain *drain, bool last, drain_visit *visit, void *arg);

void drain_end(struct drain *drain);

#endif
