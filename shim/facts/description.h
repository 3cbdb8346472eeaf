/* SPDX-License-Identifier: MIT */
/*
 * description.h - how this build lays out an event, as the flight recorder's head tells
 * it to the readers of other builds (include/reuse/ring.h).
 */
#ifndef FACTS_DESCRIPTION_H
#define FACTS_DESCRIPTION_H

#include <stdint.h>

/* RING_DESCRIPTION bytes. */
const uint64_t *ring_description(void);

/* Of those bytes, anybody's. */
uint64_t ring_description_sum(const uint64_t *words);

#endif
