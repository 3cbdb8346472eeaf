/* SPDX-License-Identifier: MIT */
/*
 * nearest.h - which of some words was probably meant by one that is none of them. Pure.
 */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/* One of the count words; NULL where none is near. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
