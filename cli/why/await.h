/* SPDX-License-Identifier: MIT */
/*
 * await.h - wait until a bind would work: the kernel tells when sockets end (sock_diag's
 * SKNLGRP_INET_TCP_DESTROY), but not when a TIME_WAIT does, whose time is known.
 */
#ifndef CLI_AWAIT_H
#define CLI_AWAIT_H

#include "why/why.h"

/*
 * Ask again and again until a bind with SO_REUSEADDR would work at each of the addresses, or the
 * time is up: *why is then what was found last. With a line about it on standard error, where that
 * is a terminal. Return 0 or -errno.
 */
int why_await(struct why *why, const struct where *where, uint32_t seconds);

#endif
