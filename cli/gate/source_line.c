/* SPDX-License-Identifier: MIT */
/*
 * source_line.c - see source_line.h. libdw is opened when it is first needed, so that the tool
 * runs without it; what is used of it is declared here as <elfutils/libdw.h> has it.
 */
#include "gate/source_line.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct dwarf_die {
	void *addr, *unit, *abbrev;
	long padding;
};

/* Which function of libdw, its type. */
#define FUNCTIONS                                                                                  \
	FUNCTION(dwarf_begin, void *, (int fd, int command))                                       \
	FUNCTION(dwarf_end, int, (void *dwarf))                                                    \
	FUNCTION(dwarf_get_units, int,                                                             \
		 (void *dwarf, void *unit, void **next, uint16_t *version, uint8_t *type,          \
		  struct dwarf_die *die, struct dwarf_die *sub))                                   \
	FUNCTION(dwarf_haspc, int, (struct dwarf_die * die, uint64_t pc))                          \
	FUNCTION(dwarf_getsrc_die, void *, (struct dwarf_die * unit, uint64_t address))            \
	FUNCTION(dwarf_linesrc, const char *, (void *line, uint64_t *mtime, uint64_t *length))     \
	FUNCTION(dwarf_lineno, int, (void *line, int *number))

static struct {
	bool tried, there;
#define FUNCTION(name, type, arguments) type(*name) arguments;
	FUNCTIONS
#undef FUNCTION
} dw;

static bool find(void *library, const char *name, void *ret)
{
	void *const function = library ? dlsym(library, name) : NULL;

	memcpy(ret, &function, sizeof(function));
	return function != NULL;
}

static bool ready(void)
{
	void *library;

	if (dw.tried)
		return dw.there;
	dw.tried = dw.there = true;
	library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
#define FUNCTION(name, type, arguments) dw.there &= find(library, #name, &dw.name);
	FUNCTIONS
#undef FUNCTION
	return dw.there;
}

/* The unit that has an address. False where none has. */
static bool unit_of(void *dwarf, uint64_t address, struct dwarf_die *ret)
{
	void *unit = NULL, *next;

	while (dw.dwarf_get_units(dwarf, unit, &next, NULL, NULL, ret, NULL) == 0) {
		if (dw.dwarf_haspc(ret, address) == 1)
			return true;
		unit = next;
	}
	return false;
}

/* Without the folder that we are in, and "./". */
static const char *from_here(const char *path)
{
	char here[PATH_MAX];
	size_t len;

	if (getcwd(here, sizeof(here)) && strcmp(here, "/") != 0) {
		len = strlen(here);
		if (strncmp(path, here, len) == 0 && path[len] == '/')
			path += len + 1;
	}
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	return path;
}

static bool tell(void *line, char *ret_file, size_t size, int *ret_line)
{
	const char *file = line ? dw.dwarf_linesrc(line, NULL, NULL) : NULL;

	if (!file || dw.dwarf_lineno(line, ret_line) != 0 || *ret_line <= 0)
		return false;
	return (size_t)snprintf(ret_file, size, "%s", from_here(file)) < size;
}

bool source_line(const char *module_path, uint64_t offset, char *ret_file, size_t size,
		 int *ret_line)
{
	const int fd =
		ready() ? open(module_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
	void *dwarf = fd >= 0 ? dw.dwarf_begin(fd, 0) : NULL;
	struct dwarf_die unit;
	bool found = false;

	if (dwarf) {
		found = unit_of(dwarf, offset, &unit) &&
			tell(dw.dwarf_getsrc_die(&unit, offset), ret_file, size, ret_line);
		dw.dwarf_end(dwarf);
	}
	if (fd >= 0)
		close(fd);
	return found;
}
