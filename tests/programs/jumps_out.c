/* SPDX-License-Identifier: MIT */
/*
 * A handler that leaves by siglongjmp, in the midst of calls that are refused.
 *
 *	jumps_out TIMES
 *
 * bind is async-signal-safe, so that is allowed. Prints how many descriptors and pages
 * of memory the program has more when it has jumped out so often.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static sigjmp_buf out;
static volatile sig_atomic_t inside;
static volatile long jumps;

static void on_alarm(int number)
{
	(void)number;
	if (inside) {
		jumps++;
		siglongjmp(out, 1);
	}
}

static int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* What is mapped, in pages. */
static long mapped(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!file || fscanf(file, "%ld", &pages) != 1)
		exit(2);
	fclose(file);
	return pages;
}

static void alarm_in(long microseconds)
{
	const struct itimerval timer = {.it_value = {0, microseconds}};

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* The address of a listener of our own. */
static struct sockaddr_in taken(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 5) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		exit(2);
	return addr;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	struct sockaddr_in addr;
	int fd, open_before;
	long times, mapped_before;

	if (argc != 2)
		return 2;
	times = atol(argv[1]);
	addr = taken();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	sigaction(SIGALRM, &action, NULL);
	bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	mapped();
	open_before = descriptors();
	mapped_before = mapped();
	while (jumps < times) {
		if (!sigsetjmp(out, 1)) {
			inside = 1;
			alarm_in(1 + rand() % 400);
			for (int i = 0; i < 3; i++)
				bind(fd, (struct sockaddr *)&addr, sizeof(addr));
		}
		inside = 0;
		alarm_in(0);
	}
	printf("%d %ld\n", descriptors() - open_before, mapped() - mapped_before);
	return 0;
}
