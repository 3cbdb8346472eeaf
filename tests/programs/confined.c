/* SPDX-License-Identifier: MIT */
/*
 * Run a program that is killed at any system call but these.
 *
 *	confined NUMBER,NUMBER,… PROGRAM ARGUMENTS…
 *
 * A service with SystemCallFilter= is set up so: the filter is there before the
 * program begins.
 */
#include <stddef.h>
#include <stdlib.h>

#include "filtered.h"

static struct sock_filter filter[BPF_MAXINSNS];
static unsigned short used;

static void add(struct sock_filter instruction)
{
	if (used == BPF_MAXINSNS)
		exit(2);
	filter[used++] = instruction;
}

static void allow(const char *numbers)
{
	for (char *end; *numbers; numbers = *end ? end + 1 : end) {
		const unsigned long number = strtoul(numbers, &end, 10);

		if (end == numbers)
			exit(2);
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)number, 0,
						 1));
		add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					 offsetof(struct seccomp_data, nr)));
	allow(argv[1]);
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	return run_filtered(filter, used, argv + 2);
}
