/* SPDX-License-Identifier: MIT */
/*
 * args.h - arguments of calls as C writes them. Both formats share it: in JSON a
 * name stands in quotes, in text it does not.
 */
#ifndef LOG_ARGS_H
#define LOG_ARGS_H

#include "facts/out.h"
#include "reuse/event.h"

/* The name, with quote (0: none) at either side; the number where there is no name. */
void out_constant(struct out *out, char quote, const char *name, int64_t number);

/* "SOCK_STREAM|SOCK_NONBLOCK" */
void out_socket_type(struct out *out, char quote, int type);

/* The int of a 4-byte option, SO_ERROR's errno name, else hex. Only where it is readable. */
void out_option_value(struct out *out, char quote, const struct event *ev);

#endif
