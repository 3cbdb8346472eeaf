/* SPDX-License-Identifier: MIT */
/*
 * Which numbers are open, as a program finds out: by fstat in each of its forms, by fcntl, by
 * poll, one number after the other. Under several limits of descriptors, each in a program that
 * was started under it.
 */
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "walk.h"

enum { LOWERED = 29, LEAP = 160 };

/* Where one would put what is not to be found: the first and last ones up to each limit, and
 * beyond. */
static int next_number(int fd)
{
	static const int edges[] = {0, 1024, 4096};
	struct rlimit limit;

	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		if (fd + 1 < edges[i] + LEAP)
			return fd + 1 > edges[i] - LEAP ? fd + 1 : edges[i] - LEAP;
	must(getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_max > INT32_MAX || fd + 1 >= (int)limit.rlim_max + LEAP)
		return INT32_MAX;
	return fd + 1 > (int)limit.rlim_max - LEAP ? fd + 1 : (int)limit.rlim_max - LEAP;
}

typedef int old_fstat(int version, int fd, struct stat *ret);

static bool by_fstat(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0;
}

static bool by_fstat64(int fd)
{
	struct stat64 stat;

	return fstat64(fd, &stat) == 0;
}

/* As programs call it that were built before glibc 2.33. */
static bool by_old_fstat(int fd)
{
	static old_fstat *call;
	struct stat stat;

	if (!call)
		*(void **)&call = dlsym(RTLD_DEFAULT, "__fxstat");
	return call && call(1, fd, &stat) == 0;
}

static bool by_old_fstat64(int fd)
{
	static old_fstat *call;
	struct stat stat;

	if (!call)
		*(void **)&call = dlsym(RTLD_DEFAULT, "__fxstat64");
	return call && call(1, fd, &stat) == 0;
}

static bool by_number(int fd)
{
	struct stat stat;

	return syscall(SYS_fstat, fd, &stat) == 0;
}

static bool by_flags(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool by_poll(int fd)
{
	struct pollfd one = {.fd = fd};

	errno = EBADF;
	if (fd < 0 || poll(&one, 1, 0) < 0 || (one.revents & POLLNVAL))
		return false;
	errno = ERRNO_BEFORE;
	return true;
}

static void list(const char *how, bool (*is_open)(int fd), int most)
{
	printf("%s:", how);
	for (int fd = -1; fd < most; fd = next_number(fd)) {
		errno = ERRNO_BEFORE;
		if (is_open(fd))
			printf(" %d%s", fd, errno == ERRNO_BEFORE ? "" : " (errno changed)");
		else if (errno != EBADF && errno != ERRNO_BEFORE)
			printf(" %d has %s", fd, error_name(errno));
	}
	printf("\n");
	fflush(stdout);
}

static void all_ways(void)
{
	list("fstat", by_fstat, INT32_MAX);
	list("fstat64", by_fstat64, INT32_MAX);
	list("__fxstat", by_old_fstat, INT32_MAX);
	list("__fxstat64", by_old_fstat64, INT32_MAX);
	list("SYS_fstat", by_number, INT32_MAX);
	list("F_GETFD", by_flags, INT32_MAX);
}

/* Under the limit that this program was started with. */
static int look(void)
{
	struct rlimit limit;

	must(getrlimit(RLIMIT_NOFILE, &limit));
	printf("limit %llu\n", (unsigned long long)limit.rlim_cur);
	close(must(socket(AF_INET, SOCK_STREAM, 0)));
	all_ways();
	/* No hook is in poll: here it matters where a descriptor lies. */
	if (limit.rlim_cur <= 4096 && limit.rlim_max >= limit.rlim_cur + 1100)
		list("poll", by_poll, (int)(limit.rlim_cur > LEAP ? limit.rlim_cur : LEAP));

	/* A limit that is lowered is no hint either. */
	limit.rlim_cur = LOWERED;
	must(setrlimit(RLIMIT_NOFILE, &limit));
	all_ways();
	list("poll", by_poll, LEAP);

	/* No copy gets beyond the limit, whatever is there. */
	for (int fd = LOWERED; fd < INT32_MAX; fd = next_number(fd))
		if (dup2(1, fd) != -1 || errno != EBADF)
			printf("dup2 onto %d: %s\n", fd, error_name(errno));
	all_ways();
	return 0;
}

static void start_under(const char *self, rlim_t soft)
{
	struct rlimit limit;
	int status = -1;
	pid_t child = must(fork());

	if (child == 0) {
		must(getrlimit(RLIMIT_NOFILE, &limit));
		limit.rlim_cur = soft && soft < limit.rlim_max ? soft : limit.rlim_max;
		must(setrlimit(RLIMIT_NOFILE, &limit));
		execl(self, self, "look", (char *)NULL);
		_exit(97);
	}
	waitpid(child, &status, 0);
	printf("status %d\n", status);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const rlim_t limits[] = {LOWERED, 64, 1024, 4096, 0 /* the hard limit */};

	if (argc > 1)
		return look();
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		start_under(argv[0], limits[i]);
	return 0;
}
