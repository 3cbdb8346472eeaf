/* SPDX-License-Identifier: MIT */
/*
 * A thread that is cancelled while its bind to the port of argv[1] waits: bind is
 * no cancellation point, so it must come back. A line on standard input says when
 * to cancel; what became of the bind is printed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in addr = {.sin_family = AF_INET};
static const char *outcome = "bind never came back";

static void *binds(void *arg)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	const int rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));

	(void)arg;
	outcome = rc == 0 ? "bound" : strerrorname_np(errno);
	pthread_testcancel();
	outcome = "not cancelled";
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *end = NULL;

	if (argc != 2)
		return 2;
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (pthread_create(&thread, NULL, binds, NULL) != 0 || getchar() == EOF ||
	    pthread_cancel(thread) != 0)
		return 2;
	puts("cancelled");
	fflush(stdout);
	if (pthread_join(thread, &end) != 0 || end != PTHREAD_CANCELED)
		outcome = "not cancelled";
	puts(outcome);
	return 0;
}
