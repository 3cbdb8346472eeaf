/* SPDX-License-Identifier: MIT */
/*
 * source_line.h - which line of the source a place in a program is, by elfutils' libdw, where that
 * is installed and the program's file has what a debugger needs.
 */
#ifndef CLI_SOURCE_LINE_H
#define CLI_SOURCE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "tests/suite.c" and 40: seen from here, where it lies below. False where it is not known. */
bool source_line(const char *module_path, uint64_t offset, char *ret_file, size_t size,
		 int *ret_line);

#endif
