/* SPDX-License-Identifier: MIT */
/* accept() and accept4(): where the address goes, and every reason to fail. */
#include <sys/resource.h>

#include "walk.h"

static struct sockaddr *as_addr(void *p)
{
	return p;
}

static void wrong_descriptors(void)
{
	struct others o = others();
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

#define ONE(name, fd) TELL_AS("accept of " name, accept(fd, as_addr(&addr), &len))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("accept4 of " name, accept4(fd, NULL, NULL, SOCK_CLOEXEC))
	WITH_OTHERS(o, ONE);
#undef ONE
}

/* One connection; then accept it as told, and see what was written where. */
static void one(const char *what, int l, void *addr, socklen_t *len, int flags, bool four)
{
	int client = connected_to(l), fd, err;

	await_input(l);
	errno = ERRNO_BEFORE;
	fd = four ? accept4(l, as_addr(addr), len, flags) : accept(l, as_addr(addr), len);
	err = errno;
	told(what, fd, err);
	if (fd >= 0) {
		printf("  flags %x %x", (unsigned int)fcntl(fd, F_GETFD),
		       (unsigned int)fcntl(fd, F_GETFL));
		close(fd);
	} else if ((fd = accept(l, NULL, NULL)) >= 0) {
		printf("  still to be had");
		close(fd);
	} else {
		printf("  lost");
	}
	printf("\n");
	close(client);
}

static void addresses(int l)
{
	static const socklen_t lens[] = {0, 1, 2, 4, 8, 15, 16, 17, 28, 128, 4096, INT32_MAX};
	char what[80];
	socklen_t len;

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		size_t room = lens[i] < 16 ? lens[i] : 16;
		unsigned char *bytes = tail_alloc(room ? room : 1);

		len = lens[i];
		snprintf(what, sizeof(what), "accept with room for %u", lens[i]);
		one(what, l, room ? bytes : bytes + 1, &len, 0, false);
		printf("  length %u", len);
		for (size_t k = 0; k < room; k++) {
			bool port = k == 2 || k == 3;

			printf(port ? " .." : " %02x", bytes[k]);
		}
		printf("\n");
	}
	len = (socklen_t)-1;
	one("accept with room for -1", l, tail_alloc(16), &len, 0, false);
	printf("  length %u\n", len);
}

static void pointers(int l)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	one("accept NULL NULL", l, NULL, NULL, 0, false);
	one("accept NULL, length", l, NULL, &len, 0, false);
	one("accept address, NULL", l, &addr, NULL, 0, false);
	one("accept address, unmapped length", l, &addr, unmapped(), 0, false);
	len = sizeof(addr);
	one("accept unmapped", l, unmapped(), &len, 0, false);
	len = sizeof(addr);
	one("accept read-only", l, read_only(), &len, 0, false);
	one("accept read-only length", l, &addr, read_only(), 0, false);
	len = sizeof(addr);
	one("accept short", l, tail_alloc(8), &len, 0, false);
}

static void flags(int l)
{
	one("accept4 0", l, NULL, NULL, 0, true);
	one("accept4 NONBLOCK", l, NULL, NULL, SOCK_NONBLOCK, true);
	one("accept4 CLOEXEC", l, NULL, NULL, SOCK_CLOEXEC, true);
	one("accept4 both", l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK, true);
	one("accept4 wrong", l, NULL, NULL, 1, true);
	one("accept4 all", l, NULL, NULL, -1, true);
}

static void failures(void)
{
	struct rlimit limit;
	int fd = tcp(), l, client, low;

	TELL_AS("accept of no listener", accept(fd, NULL, NULL));
	TELL_AS("accept4 of no listener", accept4(fd, NULL, NULL, 0));
	close(fd);
	l = listener();
	must(fcntl(l, F_SETFL, O_NONBLOCK));
	TELL_AS("accept of nobody", accept(l, NULL, NULL));
	TELL_AS("accept4 of nobody", accept4(l, NULL, NULL, SOCK_CLOEXEC));
	client = connected_to(l);
	await_input(l);
	low = lowest_fd();
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)low;
	setrlimit(RLIMIT_NOFILE, &limit);
	TELL_AS("accept without a number", accept(l, NULL, NULL));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	TELL_AS("accept with one", accept(l, NULL, NULL));
	TELL(shutdown(l, SHUT_RD));
	TELL_AS("accept after shutdown", accept(l, NULL, NULL));
	TELL_AS("accept of a client", accept(client, NULL, NULL));
}

int main(void)
{
	int l = listener();

	/* So that a connection which a failed accept lost is not waited for. */
	must(fcntl(l, F_SETFL, O_NONBLOCK));
	wrong_descriptors();
	addresses(l);
	pointers(l);
	flags(l);
	close(l);
	failures();
	return 0;
}
