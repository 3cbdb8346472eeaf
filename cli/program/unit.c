/* SPDX-License-Identifier: MIT */
/*
 * unit.c - see unit.h.
 */
#include "program/unit.h"

#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* systemd.unit(5): the first that has the unit's file is the one that counts. */
static const char *const folders[] = {
	"/etc/systemd/system",	   "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
};

enum { FOLDERS = sizeof(folders) / sizeof(folders[0]) };

/* A unit's file is a few lines; more than this is none. */
enum { MOST = 1 << 18 };

static const char drop_in[] = "50-tcpshim.conf";

/* The name with its end, if it can be that of a service. */
static bool take_name(struct unit *unit, const char *name, char why[PATH_MAX])
{
	const char *end = strrchr(name, '.');
	const bool bare = !end || end == name || strchr(end, '@');
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\@";

	if (!*name || strspn(name, letters) < strlen(name) ||
	    strlen(name) + sizeof(".service") > sizeof(unit->name)) {
		snprintf(why, PATH_MAX, "%.200s can't be the name of a unit", name);
		return false;
	}
	if (!bare && strcmp(end, ".socket") == 0) {
		snprintf(why, PATH_MAX,
			 "%s: systemd itself binds its port; a service is to be given", name);
		return false;
	}
	snprintf(unit->name, sizeof(unit->name), "%s%s", name,
		 !bare && strcmp(end, ".service") == 0 ? "" : ".service");
	return true;
}

/*
 * Where a link in root leads out of it, what lies there is another system's. What is not there
 * leads nowhere, and /dev/null stands for nothing.
 */
static bool stays_within(struct unit *unit, const char *path)
{
	char root[PATH_MAX], real[PATH_MAX];
	size_t len;

	if (!*unit->root || !realpath(unit->root, root) || !realpath(path, real))
		return true;
	len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if ((strncmp(real, root, len) == 0 && strchr("/", real[len])) ||
	    strcmp(real, "/dev/null") == 0)
		return true;
	snprintf(unit->outside, sizeof(unit->outside), "%s", path);
	return false;
}

/* Behind what is there: a file, with what a backslash continues on one line. */
static void add_file(struct unit *unit, char **text, const char *path)
{
	FILE *file = stays_within(unit, path) ? fopen(path, "re") : NULL;
	const size_t before = *text ? strlen(*text) : 0;
	struct stat status;
	char *longer;
	size_t got, end = before;

	if (!file)
		return;
	longer = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)
			 ? realloc(*text, before + MOST + 2)
			 : NULL;
	if (longer) {
		got = fread(longer + before, 1, MOST, file);
		for (size_t i = before; i < before + got; i++) {
			if (longer[i] == '\\' && i + 1 < before + got && longer[i + 1] == '\n')
				longer[++i] = ' ';
			longer[end++] = longer[i] ? longer[i] : ' ';
		}
		longer[end++] = '\n';
		longer[end] = '\0';
		*text = longer;
	}
	fclose(file);
}

/* foo@.service, of which foo@bar.service is made; the same name where it is made of none. */
static void template_of(const char *name, char template[256])
{
	const char *at = strchr(name, '@'), *end = strrchr(name, '.');

	if (at && end && end > at)
		snprintf(template, 256, "%.*s%s", (int)(at - name + 1), name, end);
	else
		snprintf(template, 256, "%s", name);
}

/* A link to /dev/null, or an empty file. */
static bool is_mask(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 &&
	       (S_ISREG(status.st_mode)
			? status.st_size == 0
			: S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3));
}

static bool add_first(struct unit *unit, const char *name)
{
	char path[2 * PATH_MAX];

	for (int i = 0; i < FOLDERS && !unit->text; i++) {
		snprintf(path, sizeof(path), "%s%s/%s", unit->root, folders[i], name);
		unit->masked |= is_mask(path);
		add_file(unit, &unit->text, path);
	}
	return unit->text;
}

static void add_drop_ins(struct unit *unit, const char *name)
{
	char pattern[2 * PATH_MAX];
	glob_t found;

	for (int i = 0; i < FOLDERS; i++) {
		snprintf(pattern, sizeof(pattern), "%s%s/%s.d/*.conf", unit->root, folders[i],
			 name);
		if (glob(pattern, GLOB_NOESCAPE, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			if (strcmp(strrchr(found.gl_pathv[j], '/') + 1, drop_in) != 0)
				add_file(unit, &unit->text, found.gl_pathv[j]);
		globfree(&found);
	}
}

/* Where ours belongs, and what is there. */
static void place_drop_in(struct unit *unit)
{
	char all[2 * PATH_MAX], own[2 * PATH_MAX];
	struct stat status;

	snprintf(unit->drop_in, sizeof(unit->drop_in), "%s%s/%s.d/%s", unit->root, folders[0],
		 unit->name, drop_in);
	snprintf(all, sizeof(all), "%s%s", unit->root, folders[0]);
	snprintf(own, sizeof(own), "%s%s/%s.d", unit->root, folders[0], unit->name);
	if (!stays_within(unit, all) || !stays_within(unit, own))
		return;
	add_file(unit, &unit->ours, unit->drop_in);
	unit->taken = lstat(unit->drop_in, &status) == 0 &&
		      !(S_ISREG(status.st_mode) && unit->ours &&
			strncmp(unit->ours, UNIT_MARK, strlen(UNIT_MARK)) == 0);
}

bool unit_find(struct unit *ret, const char *name, const char *root, char why[PATH_MAX])
{
	char template[256];

	*ret = (struct unit){.root = strcmp(root, "/") == 0 ? "" : root};
	if (!take_name(ret, name, why))
		return false;
	if (strlen(root) > PATH_MAX / 2) {
		snprintf(why, PATH_MAX, "--root: the name is too long");
		return false;
	}
	place_drop_in(ret);
	template_of(ret->name, template);
	if (!*ret->outside && !add_first(ret, ret->name) && !add_first(ret, template) &&
	    !*ret->outside) {
		snprintf(why, PATH_MAX, "%s is %s%s%.1000s", ret->name,
			 ret->masked ? "masked" : "in none of the folders of units",
			 *ret->root ? " below " : "", ret->root);
		return false;
	}
	add_drop_ins(ret, ret->name);
	if (strcmp(template, ret->name) != 0)
		add_drop_ins(ret, template);
	if (*ret->outside)
		snprintf(why, PATH_MAX, "%.2000s leads out of %.1000s", ret->outside, ret->root);
	return !*ret->outside;
}

void unit_forget(struct unit *unit)
{
	free(unit->text);
	free(unit->ours);
}

const char *unit_next(const char **at, const char *setting, size_t *len)
{
	const size_t name_len = strlen(setting);

	while (*at && **at) {
		const char *line = *at + strspn(*at, " \t");
		const char *end = line + strcspn(line, "\n");
		const char *value = line + name_len;

		*at = end + (*end != '\0');
		if (strncmp(line, setting, name_len) != 0)
			continue;
		value += strspn(value, " \t");
		if (*value != '=')
			continue;
		value += 1 + strspn(value + 1, " \t");
		*len = (size_t)(end - value);
		return value;
	}
	return NULL;
}

/* systemd.syntax(7) */
bool unit_word(const char **at, const char *end, struct out *word)
{
	static const char spaces[] = " \t\r";
	const char *c = *at;
	char quote = '\0';

	while (c < end && strchr(spaces, *c))
		c++;
	if (c == end)
		return false;
	for (; c < end && (quote || !strchr(spaces, *c)); c++) {
		if (*c == quote) {
			quote = '\0';
		} else if (!quote && strchr("\"'", *c)) {
			quote = *c;
		} else if (*c == '\\') {
			if (c + 1 == end)
				return false;
			out_mem(word, c++, 2);
		} else {
			out_str(word, *c == '"' ? "\\" : "");
			out_char(word, *c);
		}
	}
	*at = c;
	return !quote;
}

bool unit_has(const struct unit *unit, const char *setting)
{
	const char *at = unit->text, *value;
	size_t len;
	bool has = false;

	while ((value = unit_next(&at, setting, &len)))
		has = len && !strchr("nNfF0", *value) && strncasecmp(value, "off", 3) != 0;
	return has;
}

void unit_reload(const struct unit *unit)
{
	char *words[] = {(char[]){"systemctl"}, (char[]){"daemon-reload"}, NULL};
	pid_t pid;

	/* sd_booted(3) looks there. */
	if (*unit->root || access("/run/systemd/system", F_OK) < 0)
		return;
	if (posix_spawnp(&pid, words[0], NULL, NULL, words, environ) == 0)
		waitpid(pid, NULL, 0);
}
