/* SPDX-License-Identifier: MIT */
/*
 * clock.c - see clock.h.
 */
#include "sys/clock.h"

#include <errno.h>
#include <stddef.h>

#include "sys/sys.h"

static clock_reader *reader; /* written at load, before any hook acts */

void clock_use(clock_reader *vdso)
{
	reader = vdso;
}

#ifdef SYS_clock_gettime64
/* Kernels before Linux 5.1 have the call of 32 bits alone. */
static void ask(clockid_t clock, struct clock_time *ret)
{
	long old[2] = {0, 0};

	if (SYS3(SYS_clock_gettime64, clock, ret, 0) != -ENOSYS)
		return;
	SYS3(SYS_clock_gettime, clock, old, 0);
	*ret = (struct clock_time){old[0], old[1]};
}
#else
static void ask(clockid_t clock, struct clock_time *ret)
{
	SYS3(SYS_clock_gettime, clock, ret, 0);
}
#endif

uint64_t clock_ns(clockid_t clock)
{
	struct clock_time now = {0};

	/* Like a system call it returns -errno, and leaves errno alone. */
	if (!reader || reader(clock, &now) != 0)
		ask(clock, &now);
	return (uint64_t)now.s * 1000000000u + (uint64_t)now.ns;
}
