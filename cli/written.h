/* SPDX-License-Identifier: MIT */
/*
 * written.h - the files that tcpshim report writes, and run --fail-on.
 */
#ifndef CLI_WRITTEN_H
#define CLI_WRITTEN_H

#include <stdbool.h>
#include <stdio.h>

struct written {
	const char *who;    /* the subcommand, which tells what fails */
	const char *path;   /* "-": standard output; NULL: none is wanted */
	const char *begins; /* what such a file begins with: another one is never written over */
	FILE *file;
};

/*
 * It can be written; nothing has been yet, and what is in it stays until written_begin. False
 * where not, and why has been told.
 */
bool written_open(struct written *file);
bool written_begin(struct written *file);

/* Of two that are open: they are not one file. False where they are, which has been told. */
bool written_differs(const struct written *file, const struct written *other);

/* Where anything could not be written, it is told. */
bool written_close(struct written *file);

#endif
