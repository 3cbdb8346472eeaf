/* SPDX-License-Identifier: MIT */
/* dup(), dup2(), dup3() and fcntl(): copies of every kind of descriptor, onto every kind. */
#include <sys/resource.h>

#include "walk.h"

static void wrong_descriptors(void)
{
	struct others o = others();
	int fd = tcp();

#define ONE(name, n) TELL_AS("dup of " name, dup(n) >= 0 ? 1 : -1)
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, n) TELL_AS("dup2 onto 60 of " name, dup2(n, 60))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, n) TELL_AS("dup2 of a socket onto " name, dup2(fd, n))
	ONE("not open", NOT_OPEN);
	ONE("-1", -1);
	ONE("least int", INT32_MIN);
	ONE("most int", INT32_MAX);
#undef ONE
#define ONE(name, n) TELL_AS("dup3 onto 61 of " name, dup3(n, 61, O_CLOEXEC))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, n) TELL_AS("F_DUPFD of " name, fcntl(n, F_DUPFD, 70) >= 0 ? 1 : -1)
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, n) TELL_AS("dup2 onto itself of " name, dup2(n, n))
	WITH_OTHERS(o, ONE);
#undef ONE
	TELL(close(NOT_OPEN));
}

static void copies(void)
{
	int fd = tcp(), udp = must(socket(AF_INET, SOCK_DGRAM, 0)), l = listener(), ends[2];
	char byte = 0;

	connection(ends);
	TELL(dup(fd));
	TELL(dup2(fd, 100));
	TELL(dup2(fd, fd));
	TELL(dup2(udp, 100));
	TELL(dup2(fd, 100));
	TELL(dup3(fd, 101, 0));
	printf("  flags %d\n", fcntl(101, F_GETFD));
	TELL(dup3(fd, 101, O_CLOEXEC));
	printf("  flags %d\n", fcntl(101, F_GETFD));
	TELL(dup3(fd, 101, O_NONBLOCK));
	TELL(dup3(fd, 101, -1));
	TELL(dup3(fd, fd, 0));
	TELL(dup3(fd, fd, O_CLOEXEC));
	TELL(dup3(-1, -1, 0));
	TELL(dup3(NOT_OPEN, NOT_OPEN, 0));

	/* A copy over a live connection ends that connection. */
	TELL(dup2(udp, ends[0]));
	await_input(ends[1]);
	TELL(recv(ends[1], &byte, 1, 0));
	TELL(dup2(l, ends[1]));
	TELL(listen(ends[1], 3));
	TELL(dup2(1, 102));
	TELL(dup2(fd, 102));
	TELL(close(102));
	close(100);
	close(101);
}

static void by_fcntl(void)
{
	static const int64_t leasts[] = {0,	  3,	     150,	-1,
					 1 << 20, INT32_MAX, INT64_MAX, 0x100000000 + 160};
	int fd = tcp(), made;
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char what[80];

	for (size_t i = 0; i < sizeof(leasts) / sizeof(*leasts); i++) {
		snprintf(what, sizeof(what), "F_DUPFD %lld", (long long)leasts[i]);
		errno = ERRNO_BEFORE;
		made = fcntl(fd, F_DUPFD, (long)leasts[i]);
		told(what, made, errno);
		if (made >= 0) {
			printf("  flags %d\n", fcntl(made, F_GETFD));
			close(made);
		}
		snprintf(what, sizeof(what), "F_DUPFD_CLOEXEC %lld", (long long)leasts[i]);
		errno = ERRNO_BEFORE;
		made = fcntl(fd, F_DUPFD_CLOEXEC, (long)leasts[i]);
		told(what, made, errno);
		if (made >= 0) {
			printf("  flags %d\n", fcntl(made, F_GETFD));
			close(made);
		}
	}
	TELL(fcntl(fd, F_GETFD));
	TELL(fcntl(fd, F_SETFD, FD_CLOEXEC));
	TELL(fcntl(fd, F_GETFD));
	TELL(fcntl(fd, F_SETFD, 0));
	TELL(fcntl(fd, F_GETFL));
	TELL(fcntl(fd, F_SETFL, O_NONBLOCK));
	TELL(fcntl(fd, F_GETFL));
	TELL(fcntl(fd, F_GETOWN));
	TELL(fcntl(fd, F_SETOWN, 0));
	TELL(fcntl(fd, F_GETLK, &lock));
	TELL(fcntl(fd, F_SETLK, &lock));
	TELL(fcntl(fd, F_GETLK, NULL));
	TELL(fcntl(fd, F_GETLK, unmapped()));
	TELL(fcntl(fd, F_GETSIG));
	TELL(fcntl(fd, F_SETSIG, 1000));
	TELL(fcntl(fd, 9999, 1));
	TELL(fcntl(fd, -1));
	TELL(fcntl(NOT_OPEN, F_GETFD));
	TELL(fcntl(NOT_OPEN, F_DUPFD, 0));
	TELL(fcntl(-1, F_DUPFD_CLOEXEC, 0));
	close(fd);
}

static void no_number_left(void)
{
	int fd = tcp(), low = lowest_fd();
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)low;
	setrlimit(RLIMIT_NOFILE, &limit);
	TELL(dup(fd));
	TELL(dup2(fd, low));
	TELL(dup2(fd, fd));
	TELL(dup3(fd, low, 0));
	TELL(fcntl(fd, F_DUPFD, 0));
	TELL(fcntl(fd, F_DUPFD, low));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	TELL(dup(fd));
	TELL(dup2(fd, low));
}

int main(void)
{
	wrong_descriptors();
	copies();
	by_fcntl();
	no_number_left();
	return 0;
}
