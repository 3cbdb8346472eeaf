/* SPDX-License-Identifier: MIT */
/*
 * event.h - an event from its beginning to its end: its clock, and who made the call.
 * What it tells of a socket is filled in by observe.c and closing.c.
 */
#ifndef OBSERVE_EVENT_H
#define OBSERVE_EVENT_H

#include "reuse/event.h"

/* Before the real call: zero the event and start its clock. */
void event_begin(struct event *ev, enum call_id call, int number);

/* Right after the real call: stop the clock. err: errno where it failed, else 0. */
void event_end(struct event *ev, int64_t ret, int err);

/* The same call's event about another socket. */
void event_next_socket(struct event *ev, int number);

/*
 * pid, tid, program and the caller's stack; false where there is nothing to log: in a
 * vfork child, whose memory is another process's, and in a sandbox. Where ev->pid is set already,
 * process_owner() has said so in this call.
 */
bool event_caller(struct event *ev);

/* One that can't be told: it takes its number, and the next one tells of it. */
void event_lost(void);

/*
 * No event, because TCP_INFO of that number has failed with rc. Where that is no word on what it
 * is, though it was a TCP socket when last seen, there should have been one: it is lost.
 */
void event_unanswered(int number, int rc);

#endif
