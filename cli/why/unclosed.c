/* SPDX-License-Identifier: MIT */
/*
 * unclosed.c - see unclosed.h.
 *
 * CLOSE_WAIT ends by the program's close alone. The peer's FIN came with the last segment or before
 * it, so the time since then is the least; and while data still goes to a peer that has closed one
 * half, its acknowledgements keep that time short.
 */
#include "why/unclosed.h"

#include <string.h>

/* Who has it. Return whether that is more than one. */
static bool out_who(struct out *out, const struct openings *openings, const struct alike *alike)
{
	static const char *const unseen[] = {
		[SEES_NONE] = "a process (no /proc to find it in), uid ",
		[SEES_OURS] = "a process of another user, uid ",
		[SEES_ALL] = "a process out of sight, uid ",
	};
	const struct owner *owner;

	if (alike->owner == NOBODY) {
		out_str(out, unseen[openings->sight]);
		out_u64(out, alike->uid);
		out_char(out, ',');
		return false;
	}
	owner = &openings->owners[alike->owner];
	out_plain(out, owner->prog, strlen(owner->prog));
	out_str(out, " (");
	out_i64(out, owner->pid);
	out_char(out, ')');
	if (alike->owners > 1) {
		out_str(out, " and ");
		out_u64(out, alike->owners - 1);
		out_str(out, alike->owners == 2 ? " other" : " others");
	}
	return alike->owners > 1;
}

void out_age(struct out *out, uint64_t seconds)
{
	static const struct {
		uint32_t seconds;
		const char *name;
	} units[] = {{86400, " days"}, {3600, " h"}, {60, " min"}, {1, " s"}};
	size_t i = 0;

	while (i + 1 < sizeof(units) / sizeof(units[0]) && seconds < 2 * units[i].seconds)
		i++;
	out_u64(out, seconds / units[i].seconds);
	out_str(out, units[i].name);
}

void out_unclosed(struct out *out, const struct openings *openings, const struct group *group)
{
	const bool one = group->count == 1;
	bool several = false;

	if (!group->alike.open) {
		out_str(out, "nobody has accepted ");
	} else {
		several = out_who(out, openings, &group->alike);
		out_str(out, several ? " have " : " has ");
	}
	out_u64(out, group->count);
	out_str(out, one ? " connection whose peer closed at least "
			 : " connections whose peers closed, the first at least ");
	out_age(out, group->silent_ms / 1000);
	out_str(out, " ago");
	if (!group->alike.open)
		return;
	out_str(out, several ? ": they do not close " : ": it does not close ");
	out_str(out, one ? "it" : "them");
}
