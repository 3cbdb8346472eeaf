/* SPDX-License-Identifier: MIT */
/*
 * Without the standard descriptors: sockets take the numbers 0, 1 and 2. What the peers of these
 * sockets receive is printed too: not one byte may come that this program did not send.
 */
#include "walk.h"

struct shared {
	char text[8192];
	size_t len;
};

static struct shared *shared;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(shared->text + shared->len, sizeof(shared->text) - shared->len, format,
			args);
	va_end(args);
	shared->len += (size_t)len;
}

/* The descriptors 0 to 2 become ends of connections; the other ends are kept. */
static void without_standards(void)
{
	int kept[3], l, fd, value = 1;
	char byte;

	l = fcntl(listener(), F_DUPFD, 200);
	close(3);
	for (int i = 0; i < 3; i++)
		close(i);
	for (int i = 0; i < 3; i++) {
		struct sockaddr_in addr = name_of(l);

		fd = socket(AF_INET, SOCK_STREAM, 0);
		say("socket %d\n", fd);
		say("connect %d\n", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
		kept[i] = fcntl(accept(l, NULL, NULL), F_DUPFD, 210);
		close(i + 1);
	}
	for (int i = 0; i < 3; i++) {
		say("setsockopt %d\n", setsockopt(i, SOL_SOCKET, SO_KEEPALIVE, &value, 4));
		say("bind %d\n", bind(i, NULL, 0));
		say("shutdown %d\n", shutdown(i, SHUT_WR));
	}
	for (int i = 0; i < 3; i++) {
		say("received %zd\n", recv(kept[i], &byte, 1, 0));
		say("close %d\n", close(i));
		say("close again %d\n", close(i));
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	say("lowest %d\n", fd);
}

int main(void)
{
	pid_t child;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	child = fork();
	if (child == 0) {
		without_standards();
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("%.*sstatus %x\n", (int)shared->len, shared->text, (unsigned int)status);
	return 0;
}
