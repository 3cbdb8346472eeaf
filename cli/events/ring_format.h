/* SPDX-License-Identifier: MIT */
/*
 * ring_format.h - a flight recorder's description, and events of another build read by
 * it: by the names of members, calls, notes and states. Bytes in, values out; no I/O.
 */
#ifndef CLI_RING_FORMAT_H
#define CLI_RING_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "reuse/event.h"
#include "reuse/ring.h"

enum { MEMBERS_MOST = 256, CALLS_MOST = 256, NOTES_MOST = 64, STATES_MOST = 32 };

struct ring_format {
	bool ours; /* laid out as in this build: what follows is not needed */
	struct {
		uint16_t at;
		uint8_t size;	/* 0: the other build has none */
	} member[MEMBERS_MOST]; /* by the index in event_members */
	/* This build's number of each of the other's; …_COUNT: it has none. */
	uint8_t call[CALLS_MOST], note[NOTES_MOST], state[STATES_MOST];
	uint16_t least; /* so many bytes of an event tell when and whose it was */
};

/* Understand the RING_DESCRIPTION bytes behind a head. False where they are no description. */
bool format_read(struct ring_format *ret, const uint64_t *description);

/* Bring size bytes of an event into this build's form; what it does not know is left out. */
void format_event(const struct ring_format *format, const char *bytes, size_t size,
		  struct event *ret);

#endif
