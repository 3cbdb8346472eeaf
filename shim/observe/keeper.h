/* SPDX-License-Identifier: MIT */
/*
 * keeper.h - what keeps a socket open that has been closed.
 */
#ifndef OBSERVE_KEEPER_H
#define OBSERVE_KEEPER_H

#include <stdbool.h>

#include "observe/diag_parse.h"
#include "reuse/event.h"

struct closing;

/*
 * After a close, ev->sock being what it left and found what the kernel has of it, all zero for
 * nothing: does somebody have it open still? Then the note still-open says by what.
 */
bool keeper_note(struct event *ev, const struct closing *closing, const struct diag_sock *found);

#endif
