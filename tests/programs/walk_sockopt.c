/* SPDX-License-Identifier: MIT */
/* setsockopt() and getsockopt(): options, lengths and pointers, after strace's list. */
#include <netinet/tcp.h>

#include "walk.h"

struct option {
	const char *name;
	int level, number;
};

static const struct option options[] = {
	{"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
	{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
	{"SO_ERROR", SOL_SOCKET, SO_ERROR},
	{"SO_TYPE", SOL_SOCKET, SO_TYPE},
	{"SO_LINGER", SOL_SOCKET, SO_LINGER},
	{"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO},
	{"SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE},
	{"SO_PEERCRED", SOL_SOCKET, SO_PEERCRED},
	{"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
	{"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG},
	{"TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION},
	{"TCP_ULP", IPPROTO_TCP, TCP_ULP},
	{"IP_TTL", IPPROTO_IP, IP_TTL},
	{"no option", SOL_SOCKET, 9999},
	{"-1", SOL_SOCKET, -1},
	{"no level", 9999, 1},
	{"level -1", -1, 1},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void setting(int fd, const char *kind)
{
	static const long lens[] = {-1, 0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 64, 4096, INT32_MIN};
	char what[120];

	for (size_t o = 0; o < COUNT(options); o++) {
		int level = options[o].level, number = options[o].number;

		for (size_t i = 0; i < COUNT(lens); i++) {
			size_t have = lens[i] > 0 ? (size_t)lens[i] : 1;
			char *bytes = tail_alloc(have);

			memset(bytes, 0, have);
			snprintf(what, sizeof(what), "set %s of %s, length %ld", options[o].name,
				 kind, lens[i]);
			TELL_AS(what, setsockopt(fd, level, number, bytes, (socklen_t)lens[i]));
		}
		snprintf(what, sizeof(what), "set %s of %s", options[o].name, kind);
		TELL_AS(what, setsockopt(fd, level, number, NULL, 4));
		TELL_AS(what, setsockopt(fd, level, number, NULL, 0));
		TELL_AS(what, setsockopt(fd, level, number, unmapped(), 4));
		TELL_AS(what, setsockopt(fd, level, number, tail_alloc(2), 4));
	}
}

static void getting(int fd, const char *kind)
{
	static const long lens[] = {-1, 0, 1, 2, 3, 4, 5, 8, 16, 64, 4096, INT32_MIN};
	char what[120];

	for (size_t o = 0; o < COUNT(options); o++) {
		int level = options[o].level, number = options[o].number;
		socklen_t len;

		/* What the shim may have changed is not compared: its value. */
		bool reuse = level == SOL_SOCKET && number == SO_REUSEADDR;

		for (size_t i = 0; i < COUNT(lens); i++) {
			size_t have = lens[i] > 0 ? (size_t)lens[i] : 1;
			unsigned char *bytes = tail_alloc(have);

			len = (socklen_t)lens[i];
			snprintf(what, sizeof(what), "get %s of %s, length %ld", options[o].name,
				 kind, lens[i]);
			TELL_AS(what, getsockopt(fd, level, number, bytes, &len));
			printf("  length %d", (int)len);
			for (size_t k = 0; k < have && k < 16 && !reuse &&
					   !(number == SO_PEERCRED && level == SOL_SOCKET);
			     k++)
				printf(" %02x", bytes[k]);
			printf("\n");
		}
		snprintf(what, sizeof(what), "get %s of %s", options[o].name, kind);
		len = 4;
		TELL_AS(what, getsockopt(fd, level, number, NULL, &len));
		len = 4;
		TELL_AS(what, getsockopt(fd, level, number, unmapped(), &len));
		len = 4;
		TELL_AS(what, getsockopt(fd, level, number, read_only(), &len));
		TELL_AS(what, getsockopt(fd, level, number, tail_alloc(4), NULL));
		TELL_AS(what, getsockopt(fd, level, number, tail_alloc(4), unmapped()));
		TELL_AS(what, getsockopt(fd, level, number, tail_alloc(4), tail_alloc(2)));
	}
}

/*
 * Every number there may be, with pointers that can't be read: a call may well
 * succeed without having read anything (on an MPTCP socket SO_BROADCAST, say).
 */
static void unread(int fd, const char *kind)
{
	static const int levels[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP};
	char what[120];

	for (size_t l = 0; l < COUNT(levels) && fd >= 0; l++)
		for (int number = 0; number < 100; number++) {
			snprintf(what, sizeof(what), "set %d of level %d of %s", number, levels[l],
				 kind);
			TELL_AS(what, setsockopt(fd, levels[l], number, NULL, 4));
			TELL_AS(what, setsockopt(fd, levels[l], number, unmapped(), 4));
			TELL_AS(what, setsockopt(fd, levels[l], number, tail_alloc(2), 4));
		}
}

/* SO_REUSEADDR reads back as the program set it, before any bind. */
static void reads_back(void)
{
	int fd = tcp(), value;
	socklen_t len = sizeof(value);

	for (int set = 1; set >= 0; set--) {
		TELL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &set, sizeof(set)));
		value = -1;
		TELL(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &len));
		printf("SO_REUSEADDR is %d\n", value);
	}
	close(fd);
}

int main(void)
{
	struct others o = others();
	int l = listener(), ends[2];

	connection(ends);
	setting(l, "a listener");
	setting(ends[0], "a connection");
	setting(o.udp, "udp");
	setting(o.unix_stream, "unix");
	setting(o.file, "a file");
	setting(NOT_OPEN, "nothing");
	getting(l, "a listener");
	getting(ends[1], "a connection");
	getting(o.udp, "udp");
	getting(o.file, "a file");
	getting(NOT_OPEN, "nothing");
	reads_back();
	unread(tcp(), "tcp");
	unread(socket(AF_INET, SOCK_STREAM, 262), "mptcp"); /* IPPROTO_MPTCP, where there is one */
	return 0;
}
