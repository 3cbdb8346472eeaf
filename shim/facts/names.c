/* SPDX-License-Identifier: MIT */
/*
 * names.c - see names.h; the names themselves stand in include/reuse/x.def.
 */
#include "facts/names.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* One number for a group and a value of it, so that the compiler finds twins. */
#define KEY(group, value) ((group) << 24 | (value))

const char *constant_name(enum name_group group, int value)
{
	if (value < 0 || value >= 1 << 24)
		return NULL;
	switch (KEY((int)group, value)) {
#define CONSTANT(group, name)                                                                      \
	case KEY(NAMES_##group, name):                                                             \
		return #name;
#include "reuse/constants.def"
#undef CONSTANT
	}
	return NULL;
}

const char *option_name(int level, int option)
{
	switch (level) {
	case SOL_SOCKET:
		return constant_name(NAMES_so, option);
	case IPPROTO_TCP:
		return constant_name(NAMES_tcp, option);
	case IPPROTO_IP:
		return constant_name(NAMES_ip, option);
	case IPPROTO_IPV6:
		return constant_name(NAMES_ipv6, option);
	}
	return NULL;
}

const char *error_name(int error)
{
	switch (error) {
#define ERROR(name)                                                                                \
	case name:                                                                                 \
		return #name;
#include "reuse/errors.def"
#undef ERROR
	}
	return NULL;
}

static const char *const call_names[CALL_COUNT] = {
#define CALL(name, args, more) [CALL_##name] = #name,
#define CARRIER(name) [CALL_##name] = #name,
#define MOMENT(name, args, more) [CALL_##name] = #name,
#include "reuse/calls.def"
};

const char *call_name(enum call_id call)
{
	return call_names[call];
}

int call_by_name(const char *name, size_t len)
{
	for (int call = 0; call < CALL_LOGGED; call++)
		if (strlen(call_names[call]) == len && memcmp(call_names[call], name, len) == 0)
			return call;
	return -1;
}

const char *state_name(enum tcp_state_id state)
{
	static const char *const names[STATE_COUNT] = {
#define STATE(name, linux_name) [STATE_##name] = #name,
#include "reuse/states.def"
	};

	return names[state];
}

const char *note_code(enum note_id note)
{
	static const char *const codes[NOTE_COUNT] = {
#define NOTE(id, code, holds) [NOTE_##id] = (code),
#include "reuse/notes.def"
	};

	return codes[note];
}

enum tcp_state_id state_from_kernel(unsigned int number)
{
	/* Not in libc's header: include/net/tcp_states.h of the kernel. */
	enum { KERNEL_NEW_SYN_RECV = 12, KERNEL_BOUND_INACTIVE = 13 };

	switch (number) {
#define STATE(name, linux_name)                                                                    \
	case TCP_##linux_name:                                                                     \
		return STATE_##name;
#include "reuse/states.def"
	case KERNEL_NEW_SYN_RECV:
		return STATE_SYN_RCVD;
	case KERNEL_BOUND_INACTIVE:
		return STATE_CLOSED;
	}
	return STATE_UNKNOWN;
}
