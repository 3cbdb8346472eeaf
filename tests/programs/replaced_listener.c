/* SPDX-License-Identifier: MIT */
/*
 * An accept whose number becomes another listener's, one of MPTCP, after the shim has looked at it
 * and before the kernel does. A filter holds the call up for the other thread, which exchanges
 *them:
 *
 *	replaced_listener raw	by a system call instruction
 *	replaced_listener seen	by the calls that the shim sees, at the same port
 *	replaced_listener not	not at all
 *	replaced_listener left	nor is it held up: another library does that
 *
 * Prints the cookie of the connection, and closes it.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const char *how;
static int listener, other, notices;
static sem_t filtered;

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int listens(int protocol, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	const int fd = socket(AF_INET, SOCK_STREAM, protocol), on = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 4) == 0, "listen");
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	need(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	return ntohs(addr.sin_port);
}

static int connects(int protocol, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	const int fd = socket(AF_INET, SOCK_STREAM, protocol);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");
	return fd;
}

static void exchange(void)
{
	const int port = port_of(listener);

	if (strcmp(how, "raw") == 0) {
		need(raw(SYS_dup3, other, listener, 0) == listener, "dup3");
		connects(IPPROTO_MPTCP, port_of(other));
	} else if (strcmp(how, "seen") == 0) {
		close(listener);
		need(listens(IPPROTO_MPTCP, port) == listener, "the same number");
		connects(IPPROTO_MPTCP, port);
	} else {
		connects(IPPROTO_TCP, port);
	}
}

static void *supervise(void *unused)
{
	struct seccomp_notif notice = {0};
	struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	(void)unused;
	sem_wait(&filtered);
	need(ioctl(notices, SECCOMP_IOCTL_NOTIF_RECV, &notice) == 0, "the filter's notice");
	exchange();
	answer.id = notice.id;
	need(ioctl(notices, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0, "the answer");
	return NULL;
}

#ifdef SYS_accept
enum { ACCEPT = SYS_accept };
#else
enum { ACCEPT = SYS_socketcall }; /* by which libc makes it, and this thread nothing else */
#endif

/* Of this thread alone, and not known to the shim, which would step aside. */
static void filter_accept(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ACCEPT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};

	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
	notices = (int)raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			   (long)&program);
	if (notices < 0)
		exit(77);
	sem_post(&filtered);
}

static int accepted(void)
{
	const int fd = accept(listener, NULL, NULL);

	need(fd >= 0, "accept");
	return fd;
}

static int accepted_under_a_filter(void)
{
	pthread_t supervisor;
	int fd;

	sem_init(&filtered, 0, 0);
	need(pthread_create(&supervisor, NULL, supervise, NULL) == 0, "thread");
	filter_accept();
	fd = accepted();
	pthread_join(supervisor, NULL);
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd;

	how = argc > 1 ? argv[1] : "not";
	listener = listens(0, 0);
	other = listens(IPPROTO_MPTCP, 0);
	fd = connects(0, port_of(listener));
	close(accepted()); /* what is known of a listener is known now */
	close(fd);

	fd = strcmp(how, "left") == 0 ? accepted() : accepted_under_a_filter();
	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	printf("%llu\n", (unsigned long long)cookie);
	close(fd);
	return 0;
}
