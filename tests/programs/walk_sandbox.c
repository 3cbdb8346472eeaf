/* SPDX-License-Identifier: MIT */
/*
 * A program that locks itself in. Its filter ends it at any system call that it did not foresee,
 * and it did not foresee a library that asks the kernel questions of its own.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "walk.h"

#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(socket),
	ALLOW(bind),
	ALLOW(listen),
	ALLOW(connect),
	ALLOW(setsockopt),
	ALLOW(shutdown),
	ALLOW(close),
	ALLOW(dup),
	ALLOW(write),
	ALLOW(exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static char text[4096];
static size_t text_len;

/* Numbers, without stdio: it might make calls that are not foreseen. */
static void note(const char *what, int ret)
{
	char digits[12];
	int n = 0;

	while (*what)
		text[text_len++] = *what++;
	text[text_len++] = ' ';
	if (ret < 0)
		text[text_len++] = '-';
	do {
		digits[n++] = (char)('0' + abs(ret % 10));
		ret /= 10;
	} while (ret);
	while (n)
		text[text_len++] = digits[--n];
	text[text_len++] = '\n';
}

static int lock_in(int how)
{
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (how == 0)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void child(int how)
{
	struct sockaddr_in addr = loopback(0);
	int before = listener(), fd, copy, one = 1;

	note("locked in", lock_in(how));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	note("socket", fd);
	note("bind", bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	note("bind again", bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	note("setsockopt", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	note("listen", listen(fd, 5));
	copy = dup(before);
	note("dup", copy);
	note("shutdown", shutdown(copy, SHUT_RD));
	note("close", close(copy));
	note("close", close(before));
	note("close", close(before));
	note("close", close(NOT_OPEN));
	note("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	if (write(1, text, text_len) < 0)
		_exit(9);
	_exit(0);
}

/* A filter that is refused is none: all goes on as before. */
static void refused(void)
{
	struct sock_fprog empty = {0, NULL};

	TELL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &empty));
	TELL(prctl(PR_SET_SECCOMP, 99, NULL));
	TELL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x8000, &empty));
	TELL(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL));
	TELL(prctl(PR_GET_SECCOMP));
	TELL(prctl(PR_SET_NAME, "renamed"));
	TELL(prctl(9999, 1, 2, 3, 4));
	TELL(prctl(PR_GET_DUMPABLE));
	TELL(close(tcp()));
}

int main(void)
{
	refused();
	for (int how = 0; how < 2; how++) {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0)
			child(how);
		waitpid(pid, &status, 0);
		printf("status %x\n", (unsigned int)status);
	}
	return 0;
}
