/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - TCPSHIM_WAIT: a bind that only dying connections refuse is held, and made again until
 * they are gone. Others go on meanwhile.
 */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include "supervise/seen.h"

/*
 * After a bind that failed with EADDRINUSE: is it to be made again, at call->due_ns? A signal that
 * the program handles, while it was held, ends the wait.
 */
bool waiting_goes_on(struct call *call);

/* Before it is made again: is the number that socket's still? */
bool waiting_is_same(const struct call *call);

void waiting_note(struct event *ev, const struct waited *waited);

#endif
