/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what this kernel lets us ask, tried out: a question that a filter refuses is one
 * that the library can't ask either.
 */
#ifndef CLI_KERNEL_H
#define CLI_KERNEL_H

#include <stdbool.h>

struct kernel {
	char release[65];
	bool tells_forks;  /* MADV_WIPEONFORK (4.14): without it the library does nothing */
	bool tcp_diag;	   /* sock_diag answers of TCP: states after a close, who has a port */
	bool mptcp_diag;   /* and of MPTCP */
	bool lists_bound;  /* and of sockets that are only bound (6.8) */
	bool netns_cookie; /* SO_NETNS_COOKIE (5.14) */
	bool close_range;  /* (5.9): a helper that looks into /proc */
	bool kcmp;	   /* a vfork child is told from a forked one */
	bool reads_proc;   /* /proc is there */
	bool no_new_privs; /* setuid and the like gain nothing */
	bool filtered;	   /* a seccomp filter is in force */
	int ptrace_scope;  /* of yama; -1: not there */
	int first_unprivileged_port;
	const char *no_stacks; /* why TCPSHIM_STACK finds no stacks; NULL: it does */
};

void kernel_ask(struct kernel *ret);

#endif
