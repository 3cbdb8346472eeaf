/* SPDX-License-Identifier: MIT */
/*
 * Run a program that gets no more threads but libc's own: those without thread-local memory
 * of their own are refused.
 *
 *	without_helper PROGRAM ARGUMENTS…
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "filtered.h"

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 2),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_SETTLS, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	return run_filtered(filter, sizeof(filter) / sizeof(*filter), argv + 1);
}
