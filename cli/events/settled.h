/* SPDX-License-Identifier: MIT */
/*
 * settled.h - which of a flight recorder's events may be shown, and in which order.
 *
 * The writers write on while we read: of a process that has gone on to another chunk we
 * may see the end and not what came before. So each time we look twice, and only what the
 * first look found, or what comes before that and the second look found, is shown. And of
 * what is just being overwritten we may see the beginning and not what came next: what the
 * second look finds overwritten is not shown, nor what is older, unless we follow.
 *
 * A failure that is repeated is written anew with each repetition, for a second, in two places by
 * turns: of its records the one that tells most is shown, by who follows only when that is over.
 */
#ifndef CLI_SETTLED_H
#define CLI_SETTLED_H

#include "events/ring_reader.h"

/*
 * Of what two looks have found, the first of them so many entries: those to be shown come to
 * the front, in order of time. What comes after them is left for the next time. False for want
 * of memory.
 */
bool settled_sort(struct ring_reader *reader, size_t first, bool follow, size_t *ret_shown);

/* Is this one of them shown at all? */
static inline bool settled_shows(const struct ring_entry *entry, bool follow)
{
	return (!entry->gone || follow) && !entry->replaced;
}

#endif
