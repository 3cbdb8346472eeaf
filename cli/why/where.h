/* SPDX-License-Identifier: MIT */
/*
 * where.h - the place of a bind, as a user names it.
 */
#ifndef CLI_WHERE_H
#define CLI_WHERE_H

#include <stdbool.h>

#include "facts/endpoint.h"
#include "facts/out.h"

enum { WHERE_MOST = 8 };

/* A port, and the addresses that were named: of a name, all; family 0 where none was named. */
struct where {
	struct endpoint at[WHERE_MOST];
	unsigned int count;
};

/* PORT, ADDRESS:PORT or NAME:PORT, the port by number or name. False: in *wrong, why not. */
bool where_parse(struct where *ret, const char *text, struct out *wrong);

#endif
