/* SPDX-License-Identifier: MIT */
/* The same calls through libc's syscall(), and calls that have nothing to do with sockets. */
#include <sys/syscall.h>
#include <time.h>

#include "walk.h"

static void sockets(void)
{
	struct sockaddr_in addr = loopback(0);
	socklen_t len = sizeof(addr);
	long l, c, a, one = 1;
	int value;

	TELL(l = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	TELL(syscall(SYS_bind, l, &addr, sizeof(addr)));
	TELL(syscall(SYS_bind, l, NULL, sizeof(addr)));
	TELL(syscall(SYS_bind, l, unmapped(), sizeof(addr)));
	TELL(syscall(SYS_bind, l, &addr, 129));
	TELL(syscall(SYS_bind, l, &addr, -1));
	TELL(syscall(SYS_listen, l, 5));
	TELL(syscall(SYS_getsockname, l, &addr, &len));
	TELL(c = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
	TELL(syscall(SYS_connect, c, &addr, sizeof(addr)));
	await_input((int)l);
	TELL(a = syscall(SYS_accept4, l, NULL, NULL, SOCK_CLOEXEC));
	TELL(syscall(SYS_setsockopt, a, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(int)));
	TELL(syscall(SYS_setsockopt, a, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof(int)));
	len = sizeof(value);
	TELL(syscall(SYS_getsockopt, a, SOL_SOCKET, SO_ERROR, &value, &len));
	TELL(syscall(SYS_shutdown, a, SHUT_WR));
	TELL(syscall(SYS_shutdown, a, 99));
	TELL(syscall(SYS_dup, a));
	TELL(syscall(SYS_dup3, a, 80, O_CLOEXEC));
	TELL(syscall(SYS_dup3, a, a, 0));
	TELL(syscall(SYS_fcntl, a, F_DUPFD, 90));
	TELL(syscall(SYS_fcntl, a, F_GETFD));
#ifdef SYS_dup2
	TELL(syscall(SYS_dup2, a, 81));
#endif
#ifdef SYS_accept
	TELL(syscall(SYS_accept, a, NULL, NULL));
#endif
#ifdef SYS_close_range
	TELL(syscall(SYS_close_range, 80, 81, 0));
	TELL(syscall(SYS_close_range, 90, 80, 0));
#endif
	TELL(syscall(SYS_close, a));
	TELL(syscall(SYS_close, a));
	TELL(syscall(SYS_close, -1));
	TELL(syscall(SYS_close, c));
	TELL(syscall(SYS_close, l));
	/* The upper half of an int argument is not the kernel's business. */
	TELL(syscall(SYS_close, 0x700000000 + NOT_OPEN));
	TELL(l = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	TELL(syscall(SYS_listen, 0x700000000 + l, 0x100000005));
	TELL(syscall(SYS_close, 0x700000000 + l));
	TELL(syscall(SYS_socket, 0x700000000 + AF_INET, SOCK_STREAM, 0));
}

static void others_calls(void)
{
	struct timespec now;
	char *map;
	int ends[2];

	TELL(syscall(SYS_getpid) == getpid());
	TELL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
	TELL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, unmapped()));
	TELL(syscall(999999));
	TELL(syscall(-1));
	TELL(syscall(SYS_pipe2, ends, O_CLOEXEC));
	TELL(syscall(SYS_write, ends[1], "hello", 5));
	TELL(syscall(SYS_read, ends[0], &now, 5));
	/* Six arguments. */
	map = (char *)syscall(SYS_mmap, NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("mmap %d\n", map != MAP_FAILED && map[4096] == 0);
	TELL(syscall(SYS_munmap, map, 8192));
	TELL(syscall(SYS_sendto, ends[1], "x", 1, 0, NULL, 0));
	TELL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8));
}

int main(void)
{
	sockets();
	others_calls();
	return 0;
}
