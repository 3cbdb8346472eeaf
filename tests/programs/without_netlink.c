/* SPDX-License-Identifier: MIT */
/*
 * Run a program that cannot ask the kernel about sockets: netlink sockets are not to be had.
 *
 *	without_netlink PROGRAM ARGUMENTS…
 *
 * Containers are set up so: the filter is there before the program begins.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "filtered.h"

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	return run_filtered(filter, sizeof(filter) / sizeof(*filter), argv + 1);
}
