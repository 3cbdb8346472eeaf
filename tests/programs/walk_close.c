/* SPDX-License-Identifier: MIT */
/* close(), fclose(), close_range() and closefrom(): what is closed, what is not, and errno. */
#include <linux/close_range.h>

#include "walk.h"

/* Which of the first numbers are open. By fstat's cousin: no call that the shim knows. */
static void open_numbers(void)
{
	printf("  open:");
	for (int fd = 0; fd < 100; fd++) {
		struct pollfd one = {.fd = fd};

		if (poll(&one, 1, 0) >= 0 && !(one.revents & POLLNVAL))
			printf(" %d", fd);
	}
	printf("\n");
	fflush(stdout);
}

static void wrong_descriptors(void)
{
	struct others o = others();

#define ONE(name, fd) TELL_AS("close of " name, close(fd))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("second close of " name, close(fd))
	WITH_OTHERS(o, ONE);
#undef ONE
}

static void every_number(void)
{
	int refused = 0;

	for (int fd = 3; fd < 1100; fd++) {
		errno = 0;
		if (close(fd) == -1 && errno == EBADF)
			refused++;
	}
	printf("close: %d of 1097 were not open\n", refused);
}

static void streams(void)
{
	struct others o = others();
	int ends[2];
	FILE *file;

	connection(ends);
	file = fdopen(ends[0], "r+");
	fputs("buffered", file);
	TELL_AS("fclose of a connection", fclose(file));
	TELL_AS("close after fclose", close(ends[0]));
	file = fdopen(ends[1], "r");
	must(close(ends[1]));
	TELL_AS("fclose of what was closed", fclose(file));
	file = fdopen(o.pipe_write, "w");
	fputs("x", file);
	close(o.pipe_read);
	signal(SIGPIPE, SIG_IGN);
	TELL_AS("fclose of a pipe without reader", fclose(file));
	file = fdopen(o.file, "w");
	TELL_AS("fclose of a file", fclose(file));
	file = tmpfile();
	TELL_AS("fclose of a temporary file", fclose(file));
	file = fmemopen(NULL, 10, "w");
	TELL_AS("fclose of memory", fclose(file));
	file = popen("exit 3", "r");
	TELL_AS("pclose", pclose(file));
	file = fdopen(tcp(), "w");
	TELL_AS("freopen", !freopen("/dev/null", "w", file));
	TELL_AS("fclose of that", fclose(file));
	must(close(o.udp));
	must(close(o.unix_stream));
	must(close(o.unix_dgram));
	must(close(o.netlink));
	open_numbers();
}

#if __GLIBC_PREREQ(2, 34)
static void some_sockets(void)
{
	int ends[2];

	connection(ends);
	must(dup2(ends[0], 20));
	must(dup2(ends[1], 21));
	must(dup2(1, 22));
	must(dup2(listener(), 30));
	must(dup2(must(socket(AF_INET, SOCK_DGRAM, 0)), 31));
	open_numbers();
}

static void ranges(void)
{
	some_sockets();
	TELL(close_range(20, 21, 0));
	open_numbers();
	TELL(close_range(21, 20, 0));
	TELL(close_range(20, 30, 1));
	TELL(close_range(20, 30, -1));
	TELL(close_range(~0u, ~0u, 0));
	TELL(close_range(50, 60, 0));
	open_numbers();
	TELL(close_range(30, 30, CLOSE_RANGE_CLOEXEC));
	printf("  flags %d\n", fcntl(30, F_GETFD));
	TELL(close_range(22, 31, CLOSE_RANGE_UNSHARE));
	open_numbers();
	some_sockets();
	TELL(close_range(3, ~0u, 0));
	open_numbers();
	some_sockets();
	TELL(close_range(3, ~0u, CLOSE_RANGE_UNSHARE));
	open_numbers();
	some_sockets();
	TELL(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
	open_numbers();
	TELL((closefrom(21), 0));
	open_numbers();
	TELL((closefrom(1000000), 0));
	TELL((closefrom(3), 0));
	open_numbers();
	TELL((closefrom(3), 0));
	some_sockets();
	TELL((closefrom(3), 0));
	open_numbers();
}
#else
static void ranges(void)
{
}
#endif

int main(void)
{
	wrong_descriptors();
	every_number();
	streams();
	ranges();
	every_number();
	return 0;
}
