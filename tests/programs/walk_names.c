/* SPDX-License-Identifier: MIT */
/* The other names of the same calls, and the state in which main begins. */
#include <dlfcn.h>

#include "walk.h"

/* main() must find errno, the descriptors and the signals as without the shim. */
static void at_start(void)
{
	struct sigaction action;

	printf("errno %d\n", errno);
	printf("low %d mask %lx\n", lowest_fd(), signal_mask());
	for (int number = 1; number < 32; number++)
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			printf("signal %d is handled\n", number);
}

/* A name that libc exports, whatever it is declared as. */
static void *named(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

int main(void)
{
	struct sockaddr_in addr;
	int l, fd;
	int (*close_)(int);
	int (*dup2_)(int, int);
	int (*connect_)(int, const struct sockaddr *, socklen_t);
	int (*fcntl_)(int, int, ...);
	int (*fcntl64_)(int, int, ...);
	int (*fclose_)(FILE *);

	at_start();
	*(void **)&close_ = named("__close");
	*(void **)&dup2_ = named("__dup2");
	*(void **)&connect_ = named("__connect");
	*(void **)&fcntl_ = named("__fcntl");
	*(void **)&fcntl64_ = named("fcntl64");
	*(void **)&fclose_ = named("_IO_fclose");
	printf("names %d%d%d%d%d%d\n", !!close_, !!dup2_, !!connect_, !!fcntl_, !!fcntl64_,
	       !!fclose_);

	l = listener();
	addr = name_of(l);
	fd = tcp();
	if (connect_) {
		TELL(connect_(fd, (struct sockaddr *)&addr, sizeof(addr)));
		TELL(connect_(fd, (struct sockaddr *)&addr, sizeof(addr)));
		TELL(connect_(NOT_OPEN, (struct sockaddr *)&addr, sizeof(addr)));
		TELL(connect_(fd, NULL, sizeof(addr)));
	}
	if (dup2_) {
		TELL(dup2_(fd, 50));
		TELL(dup2_(fd, -1));
		TELL(dup2_(NOT_OPEN, 50));
	}
	if (fcntl_) {
		TELL(fcntl_(fd, F_DUPFD, 60));
		TELL(fcntl_(fd, F_GETFD));
		TELL(fcntl_(fd, F_SETFD, FD_CLOEXEC));
		TELL(fcntl_(fd, F_DUPFD, -1));
	}
	if (fcntl64_) {
		TELL(fcntl64_(fd, F_DUPFD_CLOEXEC, 60));
		TELL(fcntl64_(fd, F_GETFD));
		TELL(fcntl64_(NOT_OPEN, F_DUPFD, 0));
	}
	if (close_) {
		TELL(close_(50));
		TELL(close_(50));
		TELL(close_(-1));
	}
	if (fclose_)
		TELL(fclose_(fdopen(60, "r")));
	TELL(close(60));
	TELL(close(61));
	TELL(close(fd));
	TELL(close(l));
	return 0;
}
