/* SPDX-License-Identifier: MIT */
/*
 * test_names.c - facts/names: the C names of numbers.
 */
#include "facts/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "unit.h"

enum { MOST_ERRNO = 4095 };

static const struct {
	enum name_group group;
	int value;
	const char *name;
} constants[] = {
#define CONSTANT(group, name) {NAMES_##group, name, #name},
#include "reuse/constants.def"
};

static const struct {
	int value;
	const char *name;
} errors[] = {
#define ERROR(name) {name, #name},
#include "reuse/errors.def"
};

/* Each row is found by its number. */
static void rows_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(constants); i++)
		assert_string_equal(constant_name(constants[i].group, constants[i].value),
				    constants[i].name);
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		assert_string_equal(error_name(errors[i].value), errors[i].name);
}

/* A number has a name only where a row of its own group says so. */
static void nothing_else_is_found(void **state)
{
	(void)state;
	for (int group = NAMES_domain; group <= NAMES_fcntl; group++)
		for (int value = -70000; value <= 70000; value++) {
			const char *name = constant_name((enum name_group)group, value);
			bool row = false;

			for (size_t i = 0; name && i < COUNT_OF(constants) && !row; i++)
				row = (int)constants[i].group == group &&
				      constants[i].value == value;
			assert_true(!name || row);
		}
}

/* Numbers from outside, whatever they are, have no name or a right one. */
static void wild_numbers(void **state)
{
	static const int wild[] = {INT_MIN,	  INT_MIN + 1, -1,	   INT_MAX,    1 << 24,
				   (1 << 24) + 2, 0x05000002,  0x7f000001, 0x00ffffff, -(1 << 24)};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wild); i++) {
		for (int group = NAMES_domain; group <= NAMES_fcntl; group++)
			assert_null(constant_name((enum name_group)group, wild[i]));
		assert_null(option_name(wild[i], SO_REUSEADDR));
		assert_null(option_name(SOL_SOCKET, wild[i]));
		assert_null(option_name(IPPROTO_TCP, wild[i]));
		assert_null(error_name(wild[i]));
		assert_int_equal(state_from_kernel((unsigned int)wild[i]), STATE_UNKNOWN);
	}
	assert_null(error_name(0));
}

/* errno's names are libc's, and where libc has a name so have we. */
static void errors_like_libc(void **state)
{
	(void)state;
#if defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 32)
	for (int error = 1; error <= MOST_ERRNO; error++) {
		const char *libc = strerrorname_np(error), *ours = error_name(error);

		if (error == EOPNOTSUPP)
			libc = "EOPNOTSUPP"; /* libc's own choice of twins is not promised */
		if (!libc)
			assert_null(ours);
		else if (!ours)
			fail_msg("%s (%d) has no name", libc, error);
		else
			assert_string_equal(ours, libc);
	}
#else
	skip();
#endif
}

/* Where C has two names for a number, the log's is the one that is promised. */
static void twins(void **state)
{
	(void)state;
	assert_string_equal(error_name(EWOULDBLOCK), "EAGAIN");
	assert_string_equal(error_name(ENOTSUP), "EOPNOTSUPP");
	assert_string_equal(error_name(EDEADLOCK), "EDEADLK");
	assert_string_equal(constant_name(NAMES_level, SOL_TCP), "IPPROTO_TCP");
	assert_string_equal(constant_name(NAMES_level, SOL_IP), "IPPROTO_IP");
	assert_string_equal(constant_name(NAMES_level, SOL_IPV6), "IPPROTO_IPV6");
	assert_string_equal(constant_name(NAMES_protocol, 0), "IPPROTO_IP");
	assert_string_equal(constant_name(NAMES_domain, PF_LOCAL), "AF_UNIX");
	assert_string_equal(constant_name(NAMES_domain, AF_ROUTE), "AF_NETLINK");
}

/* An option's name depends on its level: 2 is SO_REUSEADDR, TCP_MAXSEG or IP_TTL. */
static void options(void **state)
{
	static const struct {
		int level, option;
		const char *name;
	} cases[] = {
		{SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
		{SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"},
		{SOL_SOCKET, SO_ERROR, "SO_ERROR"},
		{SOL_SOCKET, SO_LINGER, "SO_LINGER"},
		{SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE"},
		{SOL_TCP, TCP_MAXSEG, "TCP_MAXSEG"},
		{SOL_TCP, TCP_NODELAY, "TCP_NODELAY"},
		{SOL_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
		{SOL_IP, IP_TTL, "IP_TTL"},
		{SOL_IP, IP_TOS, "IP_TOS"},
		{SOL_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"},
		{IPPROTO_UDP, 2, NULL},
		{SOL_SOCKET, 0, NULL},
		{SOL_SOCKET, 9999, NULL},
		{9999, SO_REUSEADDR, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *name = option_name(cases[i].level, cases[i].option);

		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		else
			assert_null(name);
	}
	assert_int_equal(SO_REUSEADDR, TCP_MAXSEG);
	assert_int_equal(SO_REUSEADDR, IP_TTL);
}

/* The names that every log line leans on are there. */
static void common_constants(void **state)
{
	(void)state;
	assert_string_equal(constant_name(NAMES_domain, AF_INET), "AF_INET");
	assert_string_equal(constant_name(NAMES_domain, AF_INET6), "AF_INET6");
	assert_string_equal(constant_name(NAMES_type, SOCK_STREAM), "SOCK_STREAM");
	assert_string_equal(constant_name(NAMES_type_flag, SOCK_NONBLOCK), "SOCK_NONBLOCK");
	assert_string_equal(constant_name(NAMES_type_flag, SOCK_CLOEXEC), "SOCK_CLOEXEC");
	assert_string_equal(constant_name(NAMES_protocol, IPPROTO_TCP), "IPPROTO_TCP");
	assert_string_equal(constant_name(NAMES_how, SHUT_RD), "SHUT_RD");
	assert_string_equal(constant_name(NAMES_how, SHUT_WR), "SHUT_WR");
	assert_string_equal(constant_name(NAMES_how, SHUT_RDWR), "SHUT_RDWR");
	assert_null(constant_name(NAMES_how, 3));
	assert_string_equal(constant_name(NAMES_fcntl, F_DUPFD), "F_DUPFD");
	assert_string_equal(constant_name(NAMES_fcntl, F_DUPFD_CLOEXEC), "F_DUPFD_CLOEXEC");
#ifdef IPPROTO_MPTCP
	assert_string_equal(constant_name(NAMES_protocol, IPPROTO_MPTCP), "IPPROTO_MPTCP");
#endif
}

/* No name needs escaping in JSON, and none has room for a mistake of the table. */
static void names_are_c(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(constants); i++)
		assert_int_equal(strspn(constants[i].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"),
				 strlen(constants[i].name));
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		assert_int_equal(strspn(errors[i].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
				 strlen(errors[i].name));
}

/* The states by the kernel's numbers, as include/net/tcp_states.h has them. */
static void states_by_kernel_number(void **state)
{
	static const enum tcp_state_id by_number[] = {
		[0] = STATE_UNKNOWN,   [1] = STATE_ESTABLISHED, [2] = STATE_SYN_SENT,
		[3] = STATE_SYN_RCVD,  [4] = STATE_FIN_WAIT_1,	[5] = STATE_FIN_WAIT_2,
		[6] = STATE_TIME_WAIT, [7] = STATE_CLOSED,	[8] = STATE_CLOSE_WAIT,
		[9] = STATE_LAST_ACK,  [10] = STATE_LISTEN,	[11] = STATE_CLOSING,
		[12] = STATE_SYN_RCVD, /* TCP_NEW_SYN_RECV */
		[13] = STATE_CLOSED,   /* TCP_BOUND_INACTIVE */
	};

	(void)state;
	for (unsigned int number = 0; number < 100000; number++)
		assert_int_equal(state_from_kernel(number),
				 number < COUNT_OF(by_number) ? by_number[number] : STATE_UNKNOWN);
}

/* The contract's spelling of the states, and no other. */
static void state_names(void **state)
{
	static const char *const names[] = {
		"CLOSED",     "LISTEN",	    "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
		"FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",	"LAST_ACK", "TIME_WAIT",
	};

	(void)state;
	assert_null(state_name(STATE_UNKNOWN));
	assert_int_equal(STATE_COUNT - 1, COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_string_equal(state_name((enum tcp_state_id)(i + 1)), names[i]);
}

/* A call is found by its whole name, which need not end with a zero byte. */
static void calls_by_name(void **state)
{
	(void)state;
#define CALL(name, args, more)                                                                     \
	assert_int_equal(call_by_name(#name, strlen(#name)), CALL_##name);                         \
	assert_int_equal(call_by_name(#name ",x", strlen(#name)), CALL_##name);                    \
	assert_int_equal(call_by_name(#name "x", strlen(#name) + 1), -1);                          \
	assert_int_equal(call_by_name(" " #name, strlen(#name) + 1), -1);                          \
	assert_string_equal(call_name(CALL_##name), #name);
#include "reuse/calls.def"
	assert_int_equal(call_by_name("", 0), -1);
	assert_int_equal(call_by_name("bin", 3), -1);
	assert_int_equal(call_by_name("BIND", 4), -1);
	assert_int_equal(call_by_name("acceptx", 6), CALL_accept);
	assert_int_equal(call_by_name("accept4", 7), CALL_accept4);
	assert_int_equal(call_by_name("read", 4), -1);
}

/* What makes no events can't be named, nor can another name of a call. */
static void no_calls_by_name(void **state)
{
	(void)state;
#define CARRIER(name)                                                                              \
	assert_int_equal(call_by_name(#name, strlen(#name)), -1);                                  \
	assert_string_equal(call_name(CALL_##name), #name);
#define ALIAS(name, call) assert_int_equal(call_by_name(#name, strlen(#name)), -1);
#define TWIN(name, call) ALIAS(name, call)
#include "reuse/calls.def"
}

/* The codes of notes are what the contract lists: small letters and dashes, each once. */
static void note_codes(void **state)
{
	static const char *const contract[] = {
		"reuse-enabled",   "reuse-respected", "reuse-too-late",	 "in-use-listener",
		"in-use-bound",	   "in-use-dying",    "waiting",	 "waited",
		"ports-exhausted", "reset",	      "peer-reset",	 "still-open",
		"half-closed",	   "queue-reset",     "no-wire-effect",	 "double-close",
		"close-wait",	   "not-local",	      "privileged-port", "sandboxed",
		"lost-events",	   "no-descriptors",  "backlog-full",	 "backlog-cut",
		"not-listening",   "shared-port",     "address-taken",	 "self-connect",
		"refused",	   "unreachable",     "timed-out",
	};

	(void)state;
	for (int note = 0; note < NOTE_COUNT; note++) {
		const char *code = note_code((enum note_id)note);
		size_t listed = 0;

		for (size_t i = 0; i < COUNT_OF(contract); i++)
			listed += strcmp(code, contract[i]) == 0;
		if (listed != 1)
			fail_msg("note %s is not in the contract", code);
		for (int other = 0; other < note; other++)
			assert_string_not_equal(code, note_code((enum note_id)other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found),
		cmocka_unit_test(nothing_else_is_found),
		cmocka_unit_test(wild_numbers),
		cmocka_unit_test(errors_like_libc),
		cmocka_unit_test(twins),
		cmocka_unit_test(options),
		cmocka_unit_test(common_constants),
		cmocka_unit_test(names_are_c),
		cmocka_unit_test(states_by_kernel_number),
		cmocka_unit_test(state_names),
		cmocka_unit_test(calls_by_name),
		cmocka_unit_test(no_calls_by_name),
		cmocka_unit_test(note_codes),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
