/*
 * log.h - the way of an event from the hook to the sink.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "reuse/event.h"

/*
 * Number the event, write it, and count it as lost where that can't be. Only in
 * the process that owns the memory (ev->pid is set).
 */
void event_emit(struct event *ev);

#endif
