/* SPDX-License-Identifier: MIT */
/*
 * bare.c - see bare.h.
 *
 * What an event costs at least, and why:
 *
 *	TCP_INFO, SO_COOKIE	the state, and the identity of the socket
 *	statx, getrlimit, write	is the log still the log? may the write raise a signal? the line
 *
 * and beside it:
 *
 *	bind	can the address be read? is the option on already? setsockopt, an event of its
 *		own; the address that the kernel gave. Both events are of one process and socket,
 *		and that the bind has worked tells its state, as it does of socket()
 *	accept	which listener it is, before it waits there; both addresses
 *	close	of a connection: what speaks for a reset, and what sock_diag needs, but for what
 *		it has of its listener; the question after it. Of a listener: the question
 *		before it, as a proof, and after it
 *	dup, close of what is no TCP socket: TCP_INFO, which refuses
 *
 * The kernel's answers are not looked at, but for those that decide what is asked next.
 */
#include "bare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

enum {
	JSON_LINE = 330,
	RECORD = 208,
	RECORDER_SIZE = 16 << 20,
	HIGH = 1000, /* our descriptors, out of the way of the numbers that are measured */
};

/* As in the kernel's tcp_states.h, which libc's headers clash with. */
enum { KERNEL_CLOSE = 7, KERNEL_LISTEN = 10 };

static enum { NOTHING, JSON, RECORDER } bare;
static int log_fd;
static _Atomic(uint64_t) records;
/* A question is a conversation: a netlink socket a thread. */
static _Thread_local int diag_fd = -1;

static void fail(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int lift(int fd)
{
	const int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);

	if (high < 0)
		fail("a descriptor of one's own");
	close(fd);
	return high;
}

void bare_begin(void)
{
	const char *what = getenv("WORK_BARE");
	const char *path = what ? strchr(what, ':') : NULL;

	if (!path)
		return;
	bare = strncmp(what, "json:", 5) == 0 ? JSON : RECORDER;
	log_fd = open(path + 1, O_CREAT | O_RDWR | (bare == JSON ? O_APPEND : 0), 0600);
	if (log_fd < 0 || (bare == RECORDER && posix_fallocate(log_fd, 0, RECORDER_SIZE) != 0))
		fail(path + 1);
	log_fd = lift(log_fd);
}

static void is_still(int fd)
{
	struct statx stat;

	sys_statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stat);
}

static void write_event(void)
{
	static const char line[JSON_LINE] = {[JSON_LINE - 1] = '\n'};
	struct rlimit64 limit;
	uint64_t slot;

	is_still(log_fd);
	sys_getrlimit(RLIMIT_FSIZE, &limit);
	if (bare == JSON) {
		sys_write(log_fd, line, JSON_LINE);
		return;
	}
	slot = atomic_fetch_add_explicit(&records, 1, memory_order_relaxed);
	SYS4(SYS_pwrite64, log_fd, line, RECORD, slot % (RECORDER_SIZE / RECORD) * RECORD);
}

static uint64_t option_u64(int fd, int option)
{
	uint64_t value = 0;
	uint32_t len = sizeof(value);

	sys_getsockopt(fd, SOL_SOCKET, option, &value, &len);
	return value;
}

/* The kernel's state, or below 0 where it is no TCP socket. */
static int tcp_info(int fd)
{
	struct tcp_info info;
	uint32_t len = sizeof(info);
	const int rc = sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);

	return rc < 0 ? rc : info.tcpi_state;
}

/* What every event of an open socket asks. */
static void event(int fd)
{
	tcp_info(fd);
	option_u64(fd, SO_COOKIE);
}

/* Both ends of each descriptor's socket, as the calls that made them have told. */
static struct ends {
	struct sockaddr_in local, peer;
} known[1 << 16];

static struct ends *ends_of(int fd)
{
	return &known[(unsigned int)fd % (sizeof(known) / sizeof(known[0]))];
}

static void ask_local(int fd)
{
	uint32_t len = sizeof(struct sockaddr_in);

	sys_getsockname(fd, &ends_of(fd)->local, &len);
}

static void ask_peer(int fd)
{
	uint32_t len = sizeof(struct sockaddr_in);

	sys_getpeername(fd, &ends_of(fd)->peer, &len);
}

/* Ask sock_diag for the socket that had this number and cookie. */
static void ask_diag(int fd, uint64_t cookie)
{
	const struct ends *ends = ends_of(fd);
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} ask = {
		.header = {.nlmsg_len = sizeof(ask),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST},
		.request = {.sdiag_family = AF_INET,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_states = ~0u,
			    .id = {.idiag_sport = ends->local.sin_port,
				   .idiag_dport = ends->peer.sin_port,
				   .idiag_src = {ends->local.sin_addr.s_addr},
				   .idiag_dst = {ends->peer.sin_addr.s_addr},
				   .idiag_cookie = {(uint32_t)cookie, (uint32_t)(cookie >> 32)}}},
	};
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char answer[192];

	if (diag_fd < 0)
		diag_fd = lift(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
	is_still(diag_fd);
	sys_sendto(diag_fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL, &kernel,
		   sizeof(kernel));
	sys_recv(diag_fd, answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);
}

int do_socket(int domain, int type)
{
	const int fd = socket(domain, type, 0);

	if (bare) {
		option_u64(fd, SO_COOKIE);
		write_event();
	}
	return fd;
}

/* The shim's own setsockopt before the bind, with its event. */
static void prepare(int fd, const struct sockaddr *addr)
{
	int on = 0;
	uint32_t len = sizeof(on);

	SYS4(SYS_rt_sigprocmask, -1, addr, NULL, 8);
	sys_getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len);
	on = 1;
	sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	event(fd);
	write_event();
}

int do_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int rc;

	if (!bare)
		return bind(fd, addr, len);
	prepare(fd, addr);
	rc = bind(fd, addr, len);
	ask_local(fd);
	write_event();
	return rc;
}

int do_listen(int fd, int backlog)
{
	const int rc = listen(fd, backlog);

	if (bare) {
		event(fd);
		write_event();
	}
	return rc;
}

int do_accept(int fd)
{
	int conn;

	if (bare)
		option_u64(fd, SO_COOKIE);
	conn = accept(fd, NULL, NULL);
	if (bare && conn >= 0) {
		event(conn);
		ask_local(conn);
		ask_peer(conn);
		write_event();
	}
	return conn;
}

int do_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	const int rc = setsockopt(fd, level, option, value, len);

	if (bare) {
		event(fd);
		write_event();
	}
	return rc;
}

int do_dup(int fd)
{
	const int copy = dup(fd);

	if (bare && tcp_info(fd) >= 0) {
		option_u64(fd, SO_COOKIE);
		write_event();
	}
	return copy;
}

/* What a close does to a connection, and what sock_diag must be told to find it. */
static void before_close_of_connection(int fd)
{
	int value = 0;
	struct linger linger;
	uint32_t len = sizeof(linger);

	sys_ioctl(fd, FIONREAD, &value);
	sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	len = sizeof(value);
	sys_getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &value, &len);
}

static int bare_close(int fd)
{
	const int state = tcp_info(fd);
	uint64_t cookie;
	int rc;

	if (state < 0)
		return close(fd);
	cookie = option_u64(fd, SO_COOKIE);
	if (state == KERNEL_LISTEN)
		ask_diag(fd, cookie);
	else if (state != KERNEL_CLOSE)
		before_close_of_connection(fd);

	rc = close(fd);

	if (state != KERNEL_CLOSE)
		ask_diag(fd, cookie);
	write_event();
	*ends_of(fd) = (struct ends){0};
	return rc;
}

int do_close(int fd)
{
	return bare ? bare_close(fd) : close(fd);
}
