/* SPDX-License-Identifier: MIT */
/*
 * Closes every descriptor above 2 by system call instructions of its own, the shim's among them,
 * and puts its own file on all those numbers. Then it uses sockets. It prints how many descriptors
 * it found; the file given is to stay empty.
 */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"

int main(int argc, char **argv)
{
	int numbers[1024], n = 0, file;
	struct dirent *entry;
	DIR *list;

	if (argc < 2)
		return 2;
	close(socket(AF_INET, SOCK_STREAM, 0));

	list = opendir("/proc/self/fd");
	while (list && (entry = readdir(list)) && n < 1024)
		if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(list))
			numbers[n++] = atoi(entry->d_name);
	closedir(list);

	file = open(argv[1], O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < n; i++) {
		raw(SYS_close, numbers[i], 0, 0);
		if (raw(SYS_fcntl, file, F_DUPFD, numbers[i]) != numbers[i])
			return 3;
	}
	for (int i = 0; i < 20; i++) {
		struct sockaddr_in addr = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		bind(fd, (struct sockaddr *)&addr, sizeof(addr));
		listen(fd, 1);
		close(fd);
	}
	for (int i = 0; i < n; i++)
		if (fcntl(numbers[i], F_GETFD) < 0)
			return 4;
	printf("%d\n", n);
	return 0;
}
