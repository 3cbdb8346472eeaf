/* SPDX-License-Identifier: MIT */
/*
 * endpoint_parse.h - out_endpoint the other way: an address with its port, from text.
 */
#ifndef CLI_ENDPOINT_PARSE_H
#define CLI_ENDPOINT_PARSE_H

#include <stdbool.h>

#include "facts/endpoint.h"

/* "127.0.0.1:9999", "[::1]:9999", "[fe80::1%2]:9999". False where it is none: *ret is as it was. */
bool endpoint_parse(const char *text, struct endpoint *ret);

#endif
