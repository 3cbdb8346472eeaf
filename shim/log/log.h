/* SPDX-License-Identifier: MIT */
/*
 * log.h - the way of an event from the hook to the sink.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "reuse/event.h"

/*
 * Number the event, write it, and count it as lost where that can't be; a failure that
 * repeats itself is counted, and told later (repeats.h). Only in the process that owns
 * the memory (ev->pid is set).
 */
void event_emit(struct event *ev);

/*
 * At the end of the process, where no event follows that could tell of those that were lost: tell
 * of them by this one, for which a slow reader gets a moment. Without a loss nothing is done.
 */
void event_emit_losses(struct event *ev);

/* What was counted of the thread, which ends, is told. */
void log_thread_ends(void);

/* What was counted of all threads is told, and nothing is counted from now on. */
void log_end(void);

#endif
