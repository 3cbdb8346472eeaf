/* SPDX-License-Identifier: MIT */
/*
 * test_filter.c - at which system calls a followed program is stopped: the filter's instructions
 * are carried out here as the kernel does.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "supervise/filter.h"
#include "supervise/tracee.h"
#include "unit.h"

#if defined(__x86_64__)
#define OWN AUDIT_ARCH_X86_64
#define OTHER AUDIT_ARCH_I386
#else
#define OWN AUDIT_ARCH_AARCH64
#define OTHER AUDIT_ARCH_ARM
#endif

static const struct filter_wish all = {.calls = ~0u};

/* Of a seccomp filter the kernel takes these alone among those that we make. */
static uint32_t judge(const struct filter_wish *wish, const struct seccomp_data *call)
{
	struct sock_filter code[FILTER_MOST];
	const unsigned short len = filter_make(wish, code);
	uint32_t word = 0;

	MUST(len <= FILTER_MOST);
	for (unsigned int at = 0; at < len; at++) {
		const struct sock_filter *is = &code[at];

		switch (is->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			MUST(is->k % 4 == 0 && is->k < sizeof(*call));
			memcpy(&word, (const char *)call + is->k, sizeof(word));
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += word == is->k ? is->jt : is->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += word >= is->k ? is->jt : is->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			at += word & is->k ? is->jt : is->jf;
			break;
		case BPF_RET | BPF_K:
			return is->k;
		default:
			MUST(is->code == BPF_RET); /* an instruction of these */
		}
	}
	fail_msg("%s", "no last word");
	return 0;
}

static bool stops(const struct filter_wish *wish, long number, uint64_t b, uint64_t c)
{
	const struct seccomp_data call = {
		.nr = (int)number, .arch = OWN, .args = {3, b, c, ~0ull, 0, 0}};
	const uint32_t said = judge(wish, &call);

	MUST(said == SECCOMP_RET_TRACE || said == SECCOMP_RET_ALLOW);
	return said == SECCOMP_RET_TRACE;
}

/* fclose and closefrom are libc's everywhere, and come as the calls that these make. */
static void test_each_call_has_a_number(void **state)
{
	uint32_t found = CALL_BIT(CALL_fclose) | CALL_BIT(CALL_closefrom);
	enum call_id call;

	(void)state;
#ifndef SYS_accept
	found |= CALL_BIT(CALL_accept);
#endif
#ifndef SYS_dup2
	found |= CALL_BIT(CALL_dup2);
#endif
	for (long number = 0; number < 1000; number++)
		if (filter_call(number, &call))
			found |= CALL_BIT(call);
	MUST((found & (CALL_BIT(CALL_LOGGED) - 1)) == CALL_BIT(CALL_LOGGED) - 1);
}

static void test_others_pass(void **state)
{
	enum call_id call;

	(void)state;
	for (long number = 0; number < 1000; number++)
		if (!filter_call(number, &call))
			MUST(!stops(&all, number, 0, 0));
	MUST(!stops(&all, -1, 0, 0));
}

static void test_only_what_is_asked_for(void **state)
{
	(void)state;
	for (unsigned int one = 0; one < CALL_LOGGED; one++) {
		const struct filter_wish wish = {.calls = CALL_BIT(one)};
		enum call_id call;

		for (long number = 0; number < 1000; number++)
			if (filter_call(number, &call))
				MUST(!stops(&wish, number, 0, 0) || call == one);
	}
	MUST(stops(&(struct filter_wish){.calls = CALL_BIT(CALL_bind)}, SYS_bind, 0, 0));
}

/* Only the lower half of an argument that is an int counts, as in the kernel. */
static void test_by_arguments(void **state)
{
	const uint64_t high = 1ull << 40;
	const struct filter_wish reuse = {.calls = ~0u, .reuse_options = true};

	(void)state;
	MUST(stops(&all, SYS_fcntl, F_DUPFD, 0) && stops(&all, SYS_fcntl, F_DUPFD_CLOEXEC, 0));
	MUST(stops(&all, SYS_fcntl, high | F_DUPFD, 0) && !stops(&all, SYS_fcntl, F_GETFL, 0));
	MUST(stops(&all, SYS_getsockopt, SOL_SOCKET, SO_ERROR));
	MUST(!stops(&all, SYS_getsockopt, SOL_SOCKET, SO_TYPE));
	MUST(!stops(&all, SYS_getsockopt, 6, SO_ERROR));
	MUST(stops(&all, SYS_close_range, 9, 0) && stops(&all, SYS_close_range, 9, 2));
	MUST(!stops(&all, SYS_close_range, 9, CLOSE_RANGE_CLOEXEC));
	MUST(!stops(&all, SYS_close_range, 9, CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE));
	MUST(stops(&all, SYS_setsockopt, 6, 1));
	MUST(!stops(&reuse, SYS_setsockopt, 6, SO_REUSEADDR));
	MUST(stops(&reuse, SYS_setsockopt, SOL_SOCKET, SO_REUSEADDR));
	MUST(stops(&reuse, SYS_setsockopt, SOL_SOCKET, high | SO_REUSEPORT));
	MUST(!stops(&reuse, SYS_setsockopt, SOL_SOCKET, SO_KEEPALIVE));
}

/* The same number is another call there. */
static void test_other_machines_pass(void **state)
{
	struct seccomp_data call = {.nr = SYS_bind, .arch = OTHER};

	(void)state;
	MUST(judge(&all, &call) == SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
	call.arch = OWN;
	call.nr |= 0x40000000; /* x32 */
	MUST(judge(&all, &call) == SECCOMP_RET_ALLOW);
#endif
}

static void test_nothing_is_followed(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest elsewhere[] = {cmocka_unit_test(test_nothing_is_followed)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call_has_a_number), cmocka_unit_test(test_others_pass),
		cmocka_unit_test(test_only_what_is_asked_for), cmocka_unit_test(test_by_arguments),
		cmocka_unit_test(test_other_machines_pass),
	};

	return tracee_is_known ? cmocka_run_group_tests(tests, NULL, NULL)
			       : cmocka_run_group_tests(elsewhere, NULL, NULL);
}
