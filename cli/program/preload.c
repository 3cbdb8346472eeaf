/* SPDX-License-Identifier: MIT */
/*
 * preload.c - see preload.h.
 */
#include "program/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/elf_file.h"
#include "sys/arch/arch.h"

#ifndef LIBDIR /* the Makefile's: where it installs the library */
#define LIBDIR "../lib/"
#endif

/* Seen from the folder of the tool: the build's own, and what prefix/bin has as its prefix/lib. */
static const char *const places[] = {
	"", LIBDIR, "../lib/", "../lib/" ARCH_MULTIARCH "/", "../lib64/",
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

static const char file_name[] = "libreuse.so";

/* What ends an entry of LD_PRELOAD for ld.so; it knows no escape. */
static const char separators[] = " :";

/* The folder of the tool, with its last slash. */
static bool own_folder(char folder[PATH_MAX])
{
	const ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (len <= 0)
		return false;
	folder[len] = '\0';
	slash = strrchr(folder, '/');
	if (!slash)
		return false;
	slash[1] = '\0';
	return true;
}

static bool is_readable_file(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

/* The first place that has it. The path is then without links and dots. */
static bool find_in_places(const char *folder, char library[PATH_MAX])
{
	char path[PATH_MAX];

	for (int i = 0; i < PLACES; i++) {
		const int len = snprintf(path, sizeof(path), "%s%s%s",
					 places[i][0] == '/' ? "" : folder, places[i], file_name);

		if (len < (int)sizeof(path) && is_readable_file(path) && realpath(path, library))
			return true;
	}
	return false;
}

/* Seen from there too: what the Makefile leaves for it, and what distributions have for it. */
static const char *const places_of_others[] = {
#ifdef ARCH_NARROW
	"build/" ARCH_NARROW "/",
	"../lib/" ARCH_MULTIARCH_NARROW "/",
#endif
	"../lib32/",
	"../lib/",
};

static bool is_for(const struct elf_file *program, const char *library)
{
	static struct elf_file file;
	const int fd = open(library, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	elf_file_read(fd, &file);
	close(fd);
	return file.is_elf && file.word_size == program->word_size &&
	       file.machine == program->machine;
}

void preload_choose(const char *program, char library[PATH_MAX])
{
	static struct elf_file file;
	char folder[PATH_MAX], path[PATH_MAX], found[PATH_MAX];
	const int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return;
	elf_file_read(fd, &file);
	close(fd);
	if (!file.is_elf || is_for(&file, library) || !own_folder(folder))
		return;
	for (size_t i = 0; i < sizeof(places_of_others) / sizeof(places_of_others[0]); i++) {
		const int len = snprintf(path, sizeof(path), "%s%s%s", folder, places_of_others[i],
					 file_name);

		if (len < (int)sizeof(path) && is_readable_file(path) && realpath(path, found) &&
		    !found[strcspn(found, " :$")] && is_for(&file, found)) {
			strcpy(library, found);
			return;
		}
	}
}

bool preload_find(char library[PATH_MAX], char why[4 * PATH_MAX])
{
	char folder[PATH_MAX];
	int len;

	if (!own_folder(folder)) {
		sprintf(why, "the tool's own place is not known: /proc/self/exe: %s",
			strerror(errno));
		return false;
	}
	if (!find_in_places(folder, library)) {
		len = sprintf(why, "%s is not found; looked for in", file_name);
		for (int i = 0; i < PLACES && len < 3 * PATH_MAX; i++)
			if (i < 2 || strcmp(places[i], LIBDIR) != 0)
				len += snprintf(why + len, (size_t)(4 * PATH_MAX - len),
						"%s %.3000s%s", i ? "," : "", i ? "" : folder,
						places[i]);
		return false;
	}
	if (library[strcspn(library, separators)] || strchr(library, '$')) {
		sprintf(why,
			"LD_PRELOAD can't hold a path with a space, a colon or a dollar sign: %s",
			library);
		return false;
	}
	return true;
}

/* An entry without a slash is looked for by ld.so alone: whether it is the same is not known. */
static bool is_same_file(const char *entry, size_t len, const struct stat *library)
{
	char path[PATH_MAX];
	struct stat status;

	if (len >= sizeof(path) || !memchr(entry, '/', len))
		return false;
	memcpy(path, entry, len);
	path[len] = '\0';
	return stat(path, &status) == 0 && status.st_dev == library->st_dev &&
	       status.st_ino == library->st_ino;
}

bool preload_holds(const char *list, const char *library)
{
	struct stat status;

	if (stat(library, &status) < 0)
		return false;
	while (*list) {
		const size_t len = strcspn(list, separators);

		if (is_same_file(list, len, &status))
			return true;
		list += len + (list[len] != '\0');
	}
	return false;
}

/* What ends an entry there: blanks, too; the rest of a line behind a # is a remark. */
bool preload_everywhere(const char *library)
{
	FILE *file = fopen("/etc/ld.so.preload", "re");
	char line[2 * PATH_MAX];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "#\n")] = '\0';
		for (char *at = line; *at; at++)
			if (*at == '\t')
				*at = ' ';
		found = preload_holds(line, library);
	}
	if (file)
		fclose(file);
	return found;
}

char *preload_list(const char *before, const char *library)
{
	char *list;

	if (!before || !*before)
		return strdup(library);
	if (preload_holds(before, library))
		return strdup(before);
	return asprintf(&list, "%s:%s", library, before) < 0 ? NULL : list;
}

char *preload_list_without(const char *before, const char *library)
{
	char *list = calloc(1, strlen(before) + 1), *end = list;
	struct stat status;

	if (!list || stat(library, &status) < 0)
		return list;
	while (*before) {
		const size_t len = strcspn(before, separators);

		if (len && !is_same_file(before, len, &status))
			end += sprintf(end, "%s%.*s", end == list ? "" : ":", (int)len, before);
		before += len + (before[len] != '\0');
	}
	return list;
}
