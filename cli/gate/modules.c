/* SPDX-License-Identifier: MIT */
/*
 * modules.c - see modules.h. A test may be over before it is looked at: its file is then looked
 * for, and believed where there is one of that name.
 */
#include "gate/modules.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_SIZE = 64, PATH_SIZE = 1024, MODULES_MOST = 4096, FILES_MOST = 50000 };

struct module {
	char name[NAME_SIZE];
	char path[PATH_SIZE]; /* empty: looked for, and not found */
	uint64_t many;	      /* more than one file has that name */
};

void modules_begin(struct modules *modules)
{
	*modules = (struct modules){.known = {.row_size = sizeof(struct module),
					      .key_size = NAME_SIZE,
					      .most = MODULES_MOST}};
}

static struct module *row_of(struct modules *modules, const char *name)
{
	_Alignas(uint64_t) char key[NAME_SIZE] = {0};

	memcpy(key, name, strnlen(name, NAME_SIZE - 1));
	return table_row(&modules->known, key);
}

void modules_add(struct modules *modules, const char *path)
{
	char whole[PATH_MAX];
	const char *slash = realpath(path, whole) ? strrchr(whole, '/') : NULL;
	struct module *module = slash ? row_of(modules, slash + 1) : NULL;

	if (!module || strlen(whole) >= PATH_SIZE || strcmp(module->path, whole) == 0)
		return;
	module->many += *module->path != '\0';
	strcpy(module->path, whole);
}

void modules_learn(struct modules *modules, pid_t pid)
{
	char name[64], line[PATH_MAX + 128];
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	file = fopen(name, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *path = strchr(line, '/');
		const char *rights = strchr(line, ' ');

		if (!path || !rights || rights[3] != 'x')
			continue;
		path[strcspn(path, "\n")] = '\0';
		modules_add(modules, path);
	}
	if (file)
		fclose(file);
}

/* nftw hands nothing on to its visitor. */
static struct {
	struct modules *modules;
	const char *name;
	size_t files;
} search;

static int visit(const char *path, const struct stat *stat_of, int kind, struct FTW *at)
{
	const bool hidden = path[at->base] == '.' && at->level > 0;

	if (++search.files > FILES_MOST)
		return FTW_STOP;
	if (kind == FTW_D)
		return hidden || at->level > 8 ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
	if (kind == FTW_F && S_ISREG(stat_of->st_mode) && strcmp(path + at->base, search.name) == 0)
		modules_add(search.modules, path);
	return FTW_CONTINUE;
}

static bool is_later(const struct modules *modules, const char *path)
{
	struct stat stat_of;

	return stat(path, &stat_of) < 0 ||
	       (uint64_t)stat_of.st_mtim.tv_sec * 1000000000 + (uint64_t)stat_of.st_mtim.tv_nsec >
		       modules->until_ns;
}

const char *modules_find(struct modules *modules, const char *name)
{
	struct module *module = row_of(modules, name);

	if (!module)
		return NULL;
	if (!*module->path && !module->many) {
		search.modules = modules;
		search.name = name;
		search.files = 0;
		nftw(".", visit, 32, FTW_PHYS | FTW_ACTIONRETVAL | FTW_MOUNT);
		module = row_of(modules, name);
		/* Looked for once. */
		module->many += !*module->path;
	}
	return *module->path && !module->many && !is_later(modules, module->path) ? module->path
										  : NULL;
}

void modules_end(struct modules *modules)
{
	table_end(&modules->known);
}
