/* SPDX-License-Identifier: MIT */
/*
 * preload.h - where libreuse.so is, and how it comes into LD_PRELOAD.
 */
#ifndef CLI_PRELOAD_H
#define CLI_PRELOAD_H

#include <limits.h>
#include <stdbool.h>

/*
 * The library that belongs to this tool: beside it, or in the lib folder beside its own folder.
 * False, with why in words, where there is none or its path can't stand in LD_PRELOAD.
 */
bool preload_find(char library[PATH_MAX], char why[4 * PATH_MAX]);

/*
 * The same of the programs of another word size, if it is installed: in place of the one found,
 * where the program is one of these and that is one for it.
 */
void preload_choose(const char *program, char library[PATH_MAX]);

/*
 * LD_PRELOAD with the library in front of what is there already (NULL: nothing), unless it is in
 * it. The caller frees it; NULL where memory is out.
 */
char *preload_list(const char *before, const char *library);

/* Such a list without it. */
char *preload_list_without(const char *before, const char *library);

/* Is the library in such a list? */
bool preload_holds(const char *list, const char *library);

/* Is it in the file of those that every program loads, also one with privileges? */
bool preload_everywhere(const char *library);

#endif
