/* SPDX-License-Identifier: MIT */
/*
 * why_ask.c - see why.h: the kernel and /proc are asked, nothing is printed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "observe/proc.h"
#include "why/why.h"

static void add_answer(struct why *why, const struct endpoint *at)
{
	why->answers[why->answer_count++] =
		(struct answer){.at = *at, .verdict = verdict_of(&why->port, at)};
}

/*
 * Of both wildcards, or of the one that there is; as one where the same is to be said of them, and
 * was said of both if something was said.
 */
static void answer_any(struct why *why)
{
	const struct endpoint v4 = {.family = AF_INET, .port = why->port.number};
	const struct endpoint v6 = {.family = AF_INET6, .port = why->port.number};

	add_answer(why, &v4);
	if (verdict_try_address(&v6) != 0)
		return;
	add_answer(why, &v6);
	if (!verdict_same(&why->answers[0].verdict, &why->answers[1].verdict) ||
	    (why->said.any && !why->said.for_both))
		return;
	why->answers[0].for_both = true;
	why->answer_count = 1;
}

static void answer_each(struct why *why, const struct where *where)
{
	why->answer_count = 0;
	if (!where->at[0].family)
		answer_any(why);
	for (unsigned int i = 0; where->at[0].family && i < where->count; i++)
		add_answer(why, &where->at[i]);
}

int why_ask(struct why *why, const struct where *where)
{
	int rc;

	why->port.number = where ? where->at[0].port : 0;
	rc = port_look(&why->port);
	if (rc == 0 && where)
		answer_each(why, where);
	return rc;
}

bool why_ask_listeners(struct why *why, const struct where *where)
{
	why->port.number = where->at[0].port;
	if (port_look_for_listeners(&why->port) < 0)
		return false;
	answer_each(why, where);
	return why->answers[0].verdict.with != 0;
}

bool why_works(const struct why *why)
{
	for (unsigned int i = 0; i < why->answer_count; i++)
		if (why->answers[i].verdict.with)
			return false;
	return true;
}

static bool is_listed(const struct why *why, uint32_t owner)
{
	for (unsigned int i = 0; i < why->process_count; i++)
		if (why->owner_of[i] == owner)
			return true;
	return false;
}

static void add_process(struct why *why, uint32_t owner)
{
	if (is_listed(why, owner))
		return;
	if (why->process_count == why->most_processes) {
		why->unlisted++;
		return;
	}
	if (!process_read(why->port.openings.owners[owner].pid,
			  &why->processes[why->process_count]))
		return;
	why->owner_of[why->process_count++] = owner;
}

/* Who has one of that group; and the options of the one that stands for it. */
static void look_at_group(struct why *why, size_t i)
{
	const struct group *group = why->crowd.shown[i];
	const struct openings *openings = &why->port.openings;
	const struct owners *owners = port_owners(&why->port, group->one.inode);
	const struct opening *opening;

	if (!owners || !owners->first)
		return;
	opening = &openings->all[owners->first - 1];
	why->options[i] =
		options_of(openings->owners[opening->owner].pid, opening->fd, group->one.cookie);
	for (uint32_t at = owners->first; at; at = openings->all[at - 1].next)
		add_process(why, openings->all[at - 1].owner);
}

int why_find_owners(struct why *why)
{
	enum { MOST_GROUPS = 1000 };
	const int rc = port_find_owners(&why->port);

	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < why->answer_count; i++)
		verdict_name_owner(&why->answers[i].verdict, &why->port);
	proc_port_range(&why->first_port, &why->last_port);
	why->processes = calloc(why->most_processes, sizeof(why->processes[0]));
	why->owner_of = calloc(why->most_processes, sizeof(why->owner_of[0]));
	if (!crowd_of(&why->crowd, &why->port, why->first_port, why->last_port))
		return -ENOMEM;
	why->options = calloc(why->crowd.count + 1, sizeof(why->options[0]));
	if (!why->processes || !why->owner_of || !why->options)
		return -ENOMEM;
	for (size_t i = 0; i < why->crowd.count && i < MOST_GROUPS; i++)
		look_at_group(why, i);
	return 0;
}

void why_end(struct why *why)
{
	port_free(&why->port);
	crowd_end(&why->crowd);
	free(why->options);
	free(why->processes);
	free(why->owner_of);
}
