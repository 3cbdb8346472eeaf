/* SPDX-License-Identifier: MIT */
/*
 * walk.h - what the programs share that walk a call through its edge cases.
 *
 * Each prints what every call answered. The same program runs without the shim, under it, and
 * under each of its settings: what it prints must not differ. So nothing that changes from run to
 * run is printed: no port that the kernel picked, no pid, no address of memory.
 */
#ifndef WALK_H
#define WALK_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What errno holds before each call: no call that succeeds may change it. */
#define ERRNO_BEFORE 4242

#define NOT_OPEN 777

/* Bytes at the very end of a page; the next page is not mapped. Filled with 0xa5. */
static inline void *tail_alloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t body = (size + page - 1) / page * page;
	char *map =
		mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || munmap(map + body, page))
		exit(99);
	memset(map, 0xa5, body);
	return map + body - size;
}

static inline void *tail_copy(const void *bytes, size_t size)
{
	return memcpy(tail_alloc(size), bytes, size);
}

/* An address where nothing is mapped. */
static inline void *unmapped(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || munmap(map, page))
		exit(99);
	return map;
}

/* A page that can be read and not be written. */
static inline void *read_only(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		exit(99);
	return map;
}

/* The least number that is free; left free. By openat, which the shim does not know. */
static inline int lowest_fd(void)
{
	int fd = openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

static inline unsigned long signal_mask(void)
{
	sigset_t set;
	unsigned long bits = 0;

	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int number = 1; number < 64; number++)
		if (sigismember(&set, number))
			bits |= 1ul << (number - 1);
	return bits;
}

static inline const char *error_name(int err)
{
#if __GLIBC_PREREQ(2, 32)
	return strerrorname_np(err) ? strerrorname_np(err) : "?";
#else
	return strerror(err);
#endif
}

/* Print what a call answered, and what it left behind. */
static inline void told(const char *what, long ret, int err)
{
	int low = lowest_fd();

	printf("%s = %ld", what, ret);
	if (ret == -1)
		printf(" %s", error_name(err));
	else if (err != ERRNO_BEFORE)
		printf(" (errno became %d)", err);
	printf(" low %d mask %lx\n", low, signal_mask());
	fflush(stdout);
}

/* Make a call, errno set before, and tell of it. */
#define TELL(call)                                                                                 \
	do {                                                                                       \
		long told_ret;                                                                     \
		int told_err;                                                                      \
                                                                                                   \
		errno = ERRNO_BEFORE;                                                              \
		told_ret = (long)(call);                                                           \
		told_err = errno;                                                                  \
		told(#call, told_ret, told_err);                                                   \
	} while (0)

/* The same with words of one's own. */
#define TELL_AS(what, call)                                                                        \
	do {                                                                                       \
		long told_ret;                                                                     \
		int told_err;                                                                      \
                                                                                                   \
		errno = ERRNO_BEFORE;                                                              \
		told_ret = (long)(call);                                                           \
		told_err = errno;                                                                  \
		told(what, told_ret, told_err);                                                    \
	} while (0)

/* What a step needs before it can begin must work. */
static inline int must(int rc)
{
	if (rc < 0) {
		perror("a preparation failed");
		exit(98);
	}
	return rc;
}

static inline struct sockaddr_in loopback(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return addr;
}

/* The address a socket is bound to. */
static inline struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	must(getsockname(fd, (struct sockaddr *)&addr, &len));
	return addr;
}

static inline int tcp(void)
{
	return must(socket(AF_INET, SOCK_STREAM, 0));
}

/* A listener on a port that the kernel picked. */
static inline int listener(void)
{
	struct sockaddr_in addr = loopback(0);
	int fd = tcp();

	must(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	must(listen(fd, 16));
	return fd;
}

/* A connection to a listener; not accepted yet. */
static inline int connected_to(int fd)
{
	struct sockaddr_in addr = name_of(fd);
	int client = tcp();

	must(connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	return client;
}

/* Both ends of a connection. */
static inline void connection(int ends[2])
{
	int fd = listener();

	ends[0] = connected_to(fd);
	ends[1] = must(accept(fd, NULL, NULL));
	close(fd);
}

/* Wait until there is something to read, or an end. */
static inline void await_input(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	must(poll(&one, 1, 5000) == 1 ? 0 : -1);
}

/* Descriptors that are no TCP sockets, one of each kind. */
struct others {
	int file, pipe_read, pipe_write, udp, unix_stream, unix_dgram, netlink;
};

static inline struct others others(void)
{
	struct others o;
	int ends[2];

	o.file = must(open("/dev/null", O_RDWR | O_CLOEXEC));
	must(pipe(ends));
	o.pipe_read = ends[0];
	o.pipe_write = ends[1];
	o.udp = must(socket(AF_INET, SOCK_DGRAM, 0));
	o.unix_stream = must(socket(AF_UNIX, SOCK_STREAM, 0));
	o.unix_dgram = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	o.netlink = must(socket(AF_NETLINK, SOCK_RAW, 0));
	return o;
}

/* Each of them, and what is no descriptor at all, by its name. */
#define WITH_OTHERS(o, FN)                                                                         \
	do {                                                                                       \
		FN("file", (o).file);                                                              \
		FN("pipe", (o).pipe_read);                                                         \
		FN("udp", (o).udp);                                                                \
		FN("unix stream", (o).unix_stream);                                                \
		FN("unix dgram", (o).unix_dgram);                                                  \
		FN("netlink", (o).netlink);                                                        \
		FN("not open", NOT_OPEN);                                                          \
		FN("-1", -1);                                                                      \
		FN("least int", INT32_MIN);                                                        \
		FN("most int", INT32_MAX);                                                         \
		FN("AT_FDCWD", AT_FDCWD);                                                          \
	} while (0)

#endif
