/* SPDX-License-Identifier: MIT */
/*
 * runs.c - see runs.h.
 */
#include "gate/runs.h"

#include <stdlib.h>
#include <string.h>

/* Where the number is, or would go: the first run that does not end before it. */
static size_t place_of(const struct runs *runs, uint64_t number)
{
	size_t at = runs->count;

	while (at && runs->all[at - 1].to >= number)
		at--;
	return at;
}

bool runs_have(const struct runs *runs, uint64_t number)
{
	const size_t at = place_of(runs, number);

	return at < runs->count && runs->all[at].from <= number;
}

static bool make_room(struct runs *runs)
{
	const size_t room = runs->room ? 2 * runs->room : 4;
	struct run_of *all;

	if (runs->count < runs->room)
		return true;
	all = realloc(runs->all, room * sizeof(*all));
	if (!all)
		return false;
	runs->all = all;
	runs->room = room;
	return true;
}

bool runs_add(struct runs *runs, uint64_t number)
{
	struct run_of *next;
	size_t at;
	bool joins_before, joins_next;

	if (!make_room(runs))
		return false;
	at = place_of(runs, number);
	next = runs->all + at;
	joins_before = at > 0 && next[-1].to + 1 == number;
	joins_next = at < runs->count && next->from == number + 1;
	if (joins_before && joins_next) {
		next[-1].to = next->to;
		memmove(next, next + 1, (--runs->count - at) * sizeof(*next));
	} else if (joins_before) {
		next[-1].to = number;
	} else if (joins_next) {
		next->from = number;
	} else {
		memmove(next + 1, next, (runs->count++ - at) * sizeof(*next));
		*next = (struct run_of){number, number};
	}
	return true;
}

uint64_t runs_missing(const struct runs *runs, uint64_t most)
{
	uint64_t seen = 0, missing = 0;

	for (size_t i = 0; i < runs->count; i++) {
		if (most && runs->all[i].from > most)
			break;
		missing += runs->all[i].from - seen - 1;
		seen = runs->all[i].to;
	}
	return missing;
}

uint64_t runs_last(const struct runs *runs)
{
	return runs->count ? runs->all[runs->count - 1].to : 0;
}

void runs_end(struct runs *runs)
{
	free(runs->all);
	*runs = (struct runs){0};
}
