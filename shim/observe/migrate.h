/* SPDX-License-Identifier: MIT */
/*
 * migrate.h - when a listener ends, its connections that nobody has accepted go with it; or, with
 * net.ipv4.tcp_migrate_req, to another listener that shares its port by SO_REUSEPORT.
 */
#ifndef OBSERVE_MIGRATE_H
#define OBSERVE_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "reuse/event.h"

/*
 * May they have gone from that one, which had SO_REUSEPORT and has ended, to another? netns: as in
 * struct diag_scope. Also where that can't be asked.
 */
bool migrate_may(uint64_t netns, const struct endpoint *local);

#endif
