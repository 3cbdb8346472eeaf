/* SPDX-License-Identifier: MIT */
/*
 * filter.c - see filter.h. Calls of another machine's table (32-bit programs, x32) are let through:
 * such programs are not followed.
 */
#include "supervise/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/arch/traced.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Which of its calls are meant, by an argument. */
enum only { ALL, COPIES, SO_ERROR_READ, CLOSES, OPTIONS };

static const struct row {
	int number;
	enum call_id call;
	enum only only;
} rows[] = {
	{SYS_socket, CALL_socket, ALL},
	{SYS_bind, CALL_bind, ALL},
	{SYS_listen, CALL_listen, ALL},
	{SYS_connect, CALL_connect, ALL},
#ifdef SYS_accept
	{SYS_accept, CALL_accept, ALL},
#endif
	{SYS_accept4, CALL_accept4, ALL},
	{SYS_setsockopt, CALL_setsockopt, OPTIONS},
	{SYS_getsockopt, CALL_getsockopt, SO_ERROR_READ},
	{SYS_shutdown, CALL_shutdown, ALL},
	{SYS_close, CALL_close, ALL},
	{SYS_dup, CALL_dup, ALL},
#ifdef SYS_dup2
	{SYS_dup2, CALL_dup2, ALL},
#endif
	{SYS_dup3, CALL_dup3, ALL},
	{SYS_fcntl, CALL_fcntl, COPIES},
	{SYS_close_range, CALL_close_range, CLOSES},
	{SYS_exit_group, CALL_exit, ALL},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

bool filter_call(int64_t number, enum call_id *ret)
{
	for (unsigned int i = 0; i < ROWS; i++) {
		if (rows[i].number != number)
			continue;
		*ret = rows[i].call;
		return true;
	}
	return false;
}

/* A filter that is being made. */
struct making {
	struct sock_filter *at;
};

static void add(struct making *making, uint16_t code, uint32_t value, uint8_t yes, uint8_t no)
{
	*making->at++ = (struct sock_filter){.code = code, .k = value, .jt = yes, .jf = no};
}

static void load(struct making *making, size_t offset)
{
	add(making, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* An int among the arguments, as the kernel takes it: the lower half. */
static void load_int(struct making *making, unsigned int argument)
{
	load(making, offsetof(struct seccomp_data, args) + 8 * argument +
			     (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

static void answer(struct making *making, uint32_t what)
{
	add(making, BPF_RET | BPF_K, what, 0, 0);
}

/* Let it through, unless the int is one of two. */
static void unless_one_of(struct making *making, uint32_t one, uint32_t other)
{
	add(making, BPF_JMP | BPF_JEQ | BPF_K, one, 2, 0);
	add(making, BPF_JMP | BPF_JEQ | BPF_K, other, 1, 0);
	answer(making, SECCOMP_RET_ALLOW);
}

static void only_if(struct making *making, enum only only, bool reuse_options)
{
	switch (only) {
	case COPIES:
		load_int(making, 1);
		unless_one_of(making, F_DUPFD, F_DUPFD_CLOEXEC);
		return;
	case SO_ERROR_READ:
		load_int(making, 1);
		unless_one_of(making, SOL_SOCKET, SOL_SOCKET);
		load_int(making, 2);
		unless_one_of(making, SO_ERROR, SO_ERROR);
		return;
	case OPTIONS:
		if (!reuse_options)
			return;
		load_int(making, 1);
		unless_one_of(making, SOL_SOCKET, SOL_SOCKET);
		load_int(making, 2);
		unless_one_of(making, SO_REUSEADDR, SO_REUSEPORT);
		return;
	case CLOSES:
		load_int(making, 2);
		add(making, BPF_JMP | BPF_JSET | BPF_K, CLOSE_RANGE_CLOEXEC, 0, 1);
		answer(making, SECCOMP_RET_ALLOW);
		return;
	case ALL:
		return;
	}
}

static void add_row(struct making *making, const struct row *row, bool reuse_options)
{
	struct sock_filter *const jump = making->at;

	add(making, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)row->number, 0, 0);
	only_if(making, row->only, reuse_options);
	answer(making, SECCOMP_RET_TRACE);
	jump->jf = (uint8_t)(making->at - jump - 1);
}

unsigned short filter_make(const struct filter_wish *wish, struct sock_filter ret[FILTER_MOST])
{
	struct making making = {.at = ret};

	load(&making, offsetof(struct seccomp_data, arch));
	add(&making, BPF_JMP | BPF_JEQ | BPF_K, ARCH_AUDIT, 1, 0);
	answer(&making, SECCOMP_RET_ALLOW);
	load(&making, offsetof(struct seccomp_data, nr));
	add(&making, BPF_JMP | BPF_JGE | BPF_K, ARCH_OTHER_CALLS, 0, 1);
	answer(&making, SECCOMP_RET_ALLOW);
	for (unsigned int i = 0; i < ROWS; i++)
		if (wish->calls & CALL_BIT(rows[i].call))
			add_row(&making, &rows[i], rows[i].only == OPTIONS && wish->reuse_options);
	answer(&making, SECCOMP_RET_ALLOW);
	return (unsigned short)(making.at - ret);
}

bool filter_is_possible(void)
{
	const uint32_t action = SECCOMP_RET_TRACE;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int filter_install(const struct filter_wish *wish)
{
	struct sock_filter instructions[FILTER_MOST];
	const struct sock_fprog filter = {
		.len = filter_make(wish, instructions),
		.filter = instructions,
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? -errno : 0;
}
