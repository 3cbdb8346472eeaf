/* SPDX-License-Identifier: MIT */
/*
 * numbers.h - facts/names.h the other way: numbers by their names.
 */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>

#include "facts/names.h"

/* Each returns its …_COUNT where there is none of that name. */
int find_call(const char *name);
int find_note(const char *code);
int find_state(const char *name);

/* False where there is none of that name. */
bool find_constant(enum name_group group, const char *name, int *ret);
bool find_option(int level, const char *name, int *ret);
bool find_error(const char *name, int *ret);

#endif
