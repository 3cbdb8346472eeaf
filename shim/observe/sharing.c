/* SPDX-License-Identifier: MIT */
/*
 * sharing.c - see sharing.h.
 */
#include "observe/sharing.h"

#include <string.h>

static bool has_it_too(const struct sharing *sharing, pid_t pid)
{
	for (uint32_t i = 0; i < sharing->count && i < SHARERS_KEPT; i++)
		if (sharing->kept[i].pid == pid)
			return true;
	return false;
}

void sharing_add(struct sharing *sharing, const struct sharer *sharer, pid_t self)
{
	const uint32_t at = sharing->count;

	if (has_it_too(sharing, sharer->pid))
		return;
	sharing->count++;
	if (at == 0 || (sharing->named.pid != self && sharing->named.parent == sharer->pid))
		sharing->named = *sharer;
	if (at >= SHARERS_KEPT)
		return;
	sharing->kept[at].pid = sharer->pid;
	sharing->kept[at].parent = sharer->parent;
	sharing->kept[at].execed = sharer->execed;
	sharing->kept[at].cloexec = sharer->cloexec;
}

/*
 * One of them may have made it, and be there still. A fork is told by a child whose
 * parent has it too, or by two that were never executed; an exec likewise.
 */
struct shared sharing_judge(const struct sharing *sharing)
{
	uint32_t forked = 0, executed = 0;
	struct shared ret = {0};

	for (uint32_t i = 0; i < sharing->count && i < SHARERS_KEPT; i++) {
		const bool child = has_it_too(sharing, sharing->kept[i].parent);

		if (!sharing->kept[i].execed)
			ret.by_fork |= child || ++forked > 1;
		else if (!sharing->kept[i].cloexec)
			ret.by_exec |= child || ++executed > 1;
	}
	ret.or_exec = sharing->count == 1 && executed == 1;
	return ret;
}

void sharing_name(struct holders *holders, pid_t pid, const char prog[16])
{
	holders->pid = pid;
	memcpy(holders->prog, prog, sizeof(holders->prog));
}

void sharing_tell(struct holders *holders, uint32_t others, struct shared how)
{
	holders->others = others;
	holders->inherited = how.by_exec;
	holders->or_inherited = how.or_exec;
	holders->shared_by_fork = how.by_fork;
}
