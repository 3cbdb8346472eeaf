/* SPDX-License-Identifier: MIT */
/* bind(): descriptors, lengths and addresses of every kind, right and wrong. */
#include "walk.h"

static const struct sockaddr *as_addr(const void *p)
{
	return p;
}

static void wrong_descriptors(void)
{
	struct others o = others();
	struct sockaddr_in addr = loopback(0);

#define ONE(name, fd) TELL_AS("bind of " name, bind(fd, as_addr(&addr), sizeof(addr)))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("bind to NULL of " name, bind(fd, NULL, sizeof(addr)))
	WITH_OTHERS(o, ONE);
#undef ONE
}

/* Every length, the bytes against the end of a page: the kernel reads what it needs alone. */
static void lengths(void)
{
	static const int64_t lens[] = {-1,  0,	 1,   2,    3,	       4,	  7,	     8,
				       9,   12,	 15,  16,   17,	       24,	  28,	     64,
				       127, 128, 129, 4096, INT32_MAX, INT32_MIN, 0xffffffff};
	struct sockaddr_in addr = loopback(0);
	char what[80];

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		int fd = tcp();
		const void *tail = tail_copy(&addr, sizeof(addr));

		snprintf(what, sizeof(what), "bind, 16 bytes, length %lld", (long long)lens[i]);
		TELL_AS(what, bind(fd, as_addr(tail), (socklen_t)lens[i]));
		close(fd);
	}
	for (size_t have = 0; have < sizeof(addr); have++) {
		int fd = tcp();
		const char *tail = tail_alloc(have ? have : 1);

		snprintf(what, sizeof(what), "bind, %zu bytes, length 16", have);
		memcpy(tail_alloc(1), &addr, 1);
		TELL_AS(what, bind(fd, as_addr(have ? tail : tail + 1), sizeof(addr)));
		close(fd);
	}
}

static void pointers(void)
{
	int fd = tcp();
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	TELL_AS("bind NULL", bind(fd, NULL, 16));
	TELL_AS("bind NULL 0", bind(fd, NULL, 0));
	TELL_AS("bind NULL 129", bind(fd, NULL, 129));
	TELL_AS("bind unmapped", bind(fd, as_addr(unmapped()), 16));
	TELL_AS("bind kernel address", bind(fd, as_addr((void *)(UINTPTR_MAX - 64)), 16));
	TELL_AS("bind last byte of memory", bind(fd, as_addr((void *)UINTPTR_MAX), 16));
	TELL_AS("bind address 1", bind(fd, as_addr((void *)(uintptr_t)1), 16));
	TELL_AS("bind zeros", bind(fd, as_addr(read_only()), 16));
	TELL_AS("bind zeros again", bind(fd, as_addr((char *)read_only() + page - 16), 16));
	close(fd);
}

static void addresses(void)
{
	struct sockaddr_in addr = loopback(0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/x"};
	int fd = tcp(), other;

	addr.sin_family = AF_UNIX;
	TELL_AS("bind a unix family", bind(fd, as_addr(&addr), sizeof(addr)));
	addr.sin_family = 77;
	TELL_AS("bind no family", bind(fd, as_addr(&addr), sizeof(addr)));
	addr.sin_family = AF_UNSPEC;
	TELL_AS("bind unspecified, loopback", bind(fd, as_addr(&addr), sizeof(addr)));
	TELL_AS("bind an IPv6 address", bind(fd, as_addr(&six), sizeof(six)));
	TELL_AS("bind a unix path", bind(fd, as_addr(&path), sizeof(path)));
	addr = loopback(0);
	addr.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: nobody's */
	TELL_AS("bind no address of ours", bind(fd, as_addr(&addr), sizeof(addr)));
	addr.sin_addr.s_addr = htonl(0xffffffff);
	TELL_AS("bind broadcast", bind(fd, as_addr(&addr), sizeof(addr)));
	addr = loopback(0);
	TELL_AS("bind", bind(fd, as_addr(&addr), sizeof(addr)));
	TELL_AS("bind again", bind(fd, as_addr(&addr), sizeof(addr)));
	must(listen(fd, 1));
	TELL_AS("bind a listener", bind(fd, as_addr(&addr), sizeof(addr)));

	/* A listener's port is in use whatever the options. */
	other = tcp();
	addr = name_of(fd);
	TELL_AS("bind in use", bind(other, as_addr(&addr), sizeof(addr)));
	TELL_AS("bind in use again", bind(other, as_addr(&addr), sizeof(addr)));
	addr.sin_addr.s_addr = htonl(INADDR_ANY);
	TELL_AS("bind any, in use", bind(other, as_addr(&addr), sizeof(addr)));
	close(fd);
	close(other);

	other = must(socket(AF_UNIX, SOCK_STREAM, 0));
	TELL_AS("unix bind", bind(other, as_addr(&path), sizeof(path)));
	path.sun_path[0] = 0;
	path.sun_path[1] = 0;
	TELL_AS("unix autobind", bind(other, as_addr(&path), sizeof(path.sun_family)));
	close(other);
}

int main(void)
{
	wrong_descriptors();
	lengths();
	pointers();
	addresses();
	return 0;
}
