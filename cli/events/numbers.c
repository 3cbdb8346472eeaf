/* SPDX-License-Identifier: MIT */
/*
 * numbers.c - see numbers.h.
 */
#include "events/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

int find_call(const char *name)
{
	int call = 0;

	while (call < CALL_COUNT && strcmp(call_name((enum call_id)call), name) != 0)
		call++;
	return call;
}

int find_note(const char *code)
{
	int note = 0;

	while (note < NOTE_COUNT && strcmp(note_code((enum note_id)note), code) != 0)
		note++;
	return note;
}

int find_state(const char *name)
{
	int state = STATE_UNKNOWN + 1;

	while (state < STATE_COUNT && strcmp(state_name((enum tcp_state_id)state), name) != 0)
		state++;
	return state;
}

bool find_constant(enum name_group group, const char *name, int *ret)
{
	static const struct {
		const char *name;
		int group, number;
	} constants[] = {
#define CONSTANT(group, name) {#name, NAMES_##group, name},
#include "reuse/constants.def"
#undef CONSTANT
	};

	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (constants[i].group == (int)group && strcmp(constants[i].name, name) == 0) {
			*ret = constants[i].number;
			return true;
		}
	return false;
}

bool find_option(int level, const char *name, int *ret)
{
	switch (level) {
	case SOL_SOCKET:
		return find_constant(NAMES_so, name, ret);
	case IPPROTO_TCP:
		return find_constant(NAMES_tcp, name, ret);
	case IPPROTO_IP:
		return find_constant(NAMES_ip, name, ret);
	case IPPROTO_IPV6:
		return find_constant(NAMES_ipv6, name, ret);
	}
	return false;
}

bool find_error(const char *name, int *ret)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = {
#define ERROR(name) {#name, name},
#include "reuse/errors.def"
#undef ERROR
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0) {
			*ret = errors[i].number;
			return true;
		}
	return false;
}
