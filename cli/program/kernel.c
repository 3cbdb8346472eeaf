/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - see kernel.h.
 */
#include "program/kernel.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "observe/diag.h"
#include "observe/tcp_state.h"
#include "sys/arch/arch.h"
#include "sys/process.h"

enum { MPTCP = 262, BOUND_INACTIVE = 13, ALL_STATES = (1 << (BOUND_INACTIVE + 1)) - 2 };

static int any_at_all(const struct diag_sock *sock, void *arg)
{
	(void)sock;
	(void)arg;
	return 1;
}

/* Of a port that nobody has: the answer is short. */
static bool answers(uint16_t protocol)
{
	const struct diag_scope scope = {
		.protocol = protocol, .family = AF_INET, .port = 1, .kernel_states = ALL_STATES};

	return diag_dump(&scope, any_at_all, NULL) >= 0;
}

static int is_it(const struct diag_sock *sock, void *arg)
{
	return sock->cookie == *(const uint64_t *)arg;
}

/* A socket of our own, on a port of the kernel's choice: is it listed? */
static bool is_listed(int fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct diag_scope scope = {
		.protocol = IPPROTO_TCP, .family = AF_INET, .kernel_states = 1 << BOUND_INACTIVE};
	uint64_t cookie = sock_cookie(fd);
	socklen_t len = sizeof(at);

	if (bind(fd, (const struct sockaddr *)&at, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return false;
	scope.port = ntohs(at.sin_port);
	return diag_dump(&scope, is_it, &cookie) == 1;
}

static void ask_sockets(struct kernel *ret)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	ret->tcp_diag = answers(IPPROTO_TCP);
	ret->mptcp_diag = answers(MPTCP);
	if (fd < 0)
		return;
	ret->netns_cookie = sock_netns(fd) != 0;
	ret->lists_bound = is_listed(fd);
	close(fd);
}

static int number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	int number = -1;

	if (file && fscanf(file, "%d", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

/* As the library tries it, but its last try, which wants a stack to walk. */
static const char *why_no_stacks(void)
{
#ifdef ARCH_LIBUNWIND
	void *library = dlopen(ARCH_LIBUNWIND, RTLD_LAZY | RTLD_LOCAL);
	const char *why = NULL;

	if (!library)
		return ARCH_LIBUNWIND " can't be loaded";
	if (!dlsym(library, ARCH_LIBUNWIND_PREFIX "reg_states_iterate"))
		why = "this libunwind is too old";
	dlclose(library);
	return why;
#else
	return "not on this machine";
#endif
}

void kernel_ask(struct kernel *ret)
{
	enum { KCMP_VM = 1 };
	struct utsname name;

	memset(ret, 0, sizeof(*ret));
	if (uname(&name) == 0)
		snprintf(ret->release, sizeof(ret->release), "%s", name.release);
	ret->tells_forks = process_init_later() == 0;
	ask_sockets(ret);
	/* Of numbers that can't be open. */
	ret->close_range = syscall(SYS_close_range, ~0U, ~0U, 0) == 0;
	ret->kcmp = syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0;
	ret->reads_proc = access("/proc/self/fd", R_OK | X_OK) == 0;
	ret->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	ret->filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
	ret->ptrace_scope = number_in("/proc/sys/kernel/yama/ptrace_scope");
	ret->first_unprivileged_port = number_in("/proc/sys/net/ipv4/ip_unprivileged_port_start");
	ret->no_stacks = why_no_stacks();
}
