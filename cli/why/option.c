/* SPDX-License-Identifier: MIT */
/*
 * option.c - see option.h. For a moment the socket is open here too, so that a close of the
 * program's in that moment ends it by our close: microseconds later, as all that is asked is told
 * from here.
 */
#include "why/option.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "observe/tcp_state.h"

struct options options_of(pid_t pid, int fd, uint64_t cookie)
{
	const int process = (int)syscall(SYS_pidfd_open, pid, 0);
	const int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	struct options ret = {.known = false};

	/* The number may have become another socket's, or another file's. */
	if (copy >= 0 && sock_cookie(copy) == cookie) {
		ret.known = true;
		ret.reuseaddr = sock_option(copy, SOL_SOCKET, SO_REUSEADDR) > 0;
		ret.reuseport = sock_option(copy, SOL_SOCKET, SO_REUSEPORT) > 0;
	}
	if (copy >= 0)
		close(copy);
	if (process >= 0)
		close(process);
	return ret;
}
