/* SPDX-License-Identifier: MIT */
/*
 * call.h - a call that is followed, from before it until it has returned to the program: it may be
 * interrupted and made again by the kernel, which to the program is one call.
 */
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"
#include "supervise/tracee.h"

struct call {
	struct tracee_call is;
	enum call_id id;
	bool cut;	    /* a signal has interrupted it: it may be made again, or not */
	bool decided;	    /* it will be made again */
	bool held;	    /* until due_ns, to be made again */
	bool signalled;	    /* while it was held, one has come that the program handles */
	int64_t due_ns;	    /* WATCH_LATER */
	int64_t answer;	    /* WATCH_ANSWER */
	struct call *outer; /* that a handler has interrupted, which makes this one */
	struct seen *seen;  /* what the observers know of it: watch.c's */
};

#endif
