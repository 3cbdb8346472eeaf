/* SPDX-License-Identifier: MIT */
/*
 * ending.h - which calls end a socket.
 */
#ifndef CLI_EVENTS_ENDING_H
#define CLI_EVENTS_ENDING_H

#include "reuse/event.h"

/* Nobody has it open any more, as far as the event tells. */
static inline bool event_ends_socket(const struct event *ev)
{
	switch (ev->call) {
	case CALL_close:
	case CALL_fclose:
	case CALL_close_range:
	case CALL_closefrom:
		return !(ev->notes & (NOTE_BIT(NOTE_STILL_OPEN) | NOTE_BIT(NOTE_DOUBLE_CLOSE)));
	default:
		return false;
	}
}

#endif
