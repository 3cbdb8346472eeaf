/* SPDX-License-Identifier: MIT */
/*
 * unit.h - a service of systemd: its files, what they say, and the drop-in that tcpshim makes.
 *
 * Read as text, not asked of systemd: below --root none runs.
 */
#ifndef CLI_UNIT_H
#define CLI_UNIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "facts/out.h"

/* What ours begins with: another's is neither replaced nor removed. */
#define UNIT_MARK "# Made by tcpshim enable"

struct unit {
	char name[256];		    /* nginx.service */
	const char *root;	    /* "" where it is the system that runs */
	char drop_in[2 * PATH_MAX]; /* ours, there or not; below root */
	char *text;		    /* its file and its drop-ins but ours, a setting a line */
	char *ours;		    /* ours; NULL where there is none */
	bool taken;		    /* in ours's place is something else */
	bool masked;		    /* systemd.unit(5): it does not start */
	char outside[2 * PATH_MAX]; /* what leads out of root by a link: it is not touched */
};

/* The unit of that name. False, with why in words, where there is none. Free it in any case. */
bool unit_find(struct unit *ret, const char *name, const char *root, char why[PATH_MAX]);
void unit_forget(struct unit *unit);

/*
 * The next value of a setting; at goes on behind it. NULL: none follows. It ends where its line
 * does, and len is its length.
 */
const char *unit_next(const char **at, const char *setting, size_t *len);

/*
 * The next word of a value, which ends there, as it may stand between double quotes: its own quotes
 * are taken away, and what a backslash escapes stays escaped. False: there is none that systemd
 * would take.
 */
bool unit_word(const char **at, const char *end, struct out *word);

/* Is one of the values of that setting, which is on or off or more, not off? */
bool unit_has(const struct unit *unit, const char *setting);

/* systemd is told to read its files anew, where it runs. */
void unit_reload(const struct unit *unit);

#endif
