/* SPDX-License-Identifier: MIT */
/* socket(): families, kinds, protocols and flags, those that there are and those that are not. */
#include <sys/resource.h>

#include "walk.h"

static void kinds(void)
{
	static const int domains[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, 200, -1};
	static const int types[] = {SOCK_STREAM,
				    SOCK_DGRAM,
				    SOCK_RDM,
				    0,
				    11,
				    -1,
				    SOCK_STREAM | SOCK_NONBLOCK,
				    SOCK_STREAM | SOCK_CLOEXEC,
				    SOCK_STREAM | 0x40};
	static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, 262, 255, 256, -1};
	char what[80];

	for (size_t d = 0; d < sizeof(domains) / sizeof(*domains); d++)
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
			for (size_t p = 0; p < sizeof(protocols) / sizeof(*protocols); p++) {
				int fd, err;

				errno = ERRNO_BEFORE;
				fd = socket(domains[d], types[t], protocols[p]);
				err = errno;
				snprintf(what, sizeof(what), "socket(%d, %#x, %d)", domains[d],
					 (unsigned int)types[t], protocols[p]);
				told(what, fd, err);
				if (fd < 0)
					continue;
				printf("  flags %x %x\n", (unsigned int)fcntl(fd, F_GETFD),
				       (unsigned int)fcntl(fd, F_GETFL));
				TELL(close(fd));
			}
}

static void no_descriptor_left(void)
{
	struct rlimit limit = {3, 64};

	setrlimit(RLIMIT_NOFILE, &limit);
	TELL(socket(AF_INET, SOCK_STREAM, 0));
	TELL(socket(AF_UNIX, SOCK_STREAM, 0));
	limit.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &limit);
	TELL(socket(AF_INET, SOCK_STREAM, 0));
}

int main(void)
{
	kinds();
	no_descriptor_left();
	return 0;
}
