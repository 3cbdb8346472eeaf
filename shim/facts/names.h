/* SPDX-License-Identifier: MIT */
/*
 * names.h - the C names of numbers: calls, states, errors, socket constants.
 */
#ifndef FACTS_NAMES_H
#define FACTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "reuse/event.h"

/* The groups of include/reuse/constants.def. */
enum name_group {
	NAMES_domain,
	NAMES_type,
	NAMES_type_flag,
	NAMES_protocol,
	NAMES_level,
	NAMES_so,
	NAMES_tcp,
	NAMES_ip,
	NAMES_ipv6,
	NAMES_how,
	NAMES_fcntl,
};

/* The type in socket's second argument; flags such as SOCK_CLOEXEC are beside it. */
enum { SOCKET_TYPE_MASK = 0xf };

/* Each returns NULL where there is no name. */
const char *constant_name(enum name_group group, int value);
const char *option_name(int level, int option);
const char *error_name(int error);

const char *call_name(enum call_id call);
const char *state_name(enum tcp_state_id state);
const char *note_code(enum note_id note);

/* The call of that name (len bytes); -1 where it makes no events. */
int call_by_name(const char *name, size_t len);

/* From the kernel's number of a state, as in TCP_INFO and sock_diag. */
enum tcp_state_id state_from_kernel(unsigned int number);

#endif
