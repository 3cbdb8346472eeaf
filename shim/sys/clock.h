/* SPDX-License-Identifier: MIT */
/*
 * clock.h - what time it is: by the function that the kernel maps into each process
 * (man 7 vdso), which needs no system call, or where there is none by system call.
 * libc's clock_gettime is the same under a name that other libraries take, to tell
 * the program another time.
 */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* As the kernel tells it to all; a libc's struct timespec may end in 2038. */
struct clock_time {
	int64_t s, ns;
};
typedef int clock_reader(clockid_t clock, struct clock_time *ret);

/* At load: the vDSO's function, NULL where there is none. */
void clock_use(clock_reader *vdso);

/* Nanoseconds on CLOCK_MONOTONIC or CLOCK_REALTIME. */
uint64_t clock_ns(clockid_t clock);

#endif
