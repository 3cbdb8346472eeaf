/* SPDX-License-Identifier: MIT */
/*
 * sink.c - see sink.h. Knows no events.
 *
 * A pipe or a socket that is full loses the line rather than wait for its reader;
 * a file and a terminal are written to plainly. No write raises a signal.
 */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sys/own.h"
#include "sys/sys.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100 /* Linux 6.18 */
#endif

enum kind { NO_SINK, PLAIN_FILE, DEVICE, TERMINAL, PIPE, SOCKET };

static struct {
	enum kind kind;
	bool appends;
	struct sockaddr_un addr; /* unix: to connect again when a new reader comes */
	unsigned int addr_len;
} sink;

/*
 * How does the log end? A line may have been cut in the middle, of another process as well:
 * the next one then begins with a new line. Before its first line, and where a write of ours
 * failed, a file is looked at.
 */
enum doubt { SURE, LOOK, TORN };
static _Atomic(uint8_t) doubt;

/* What the kernel can do for a pipe, or a sandbox lets it do: found out at load. */
enum pipe_way { NOWAIT_NOSIGNAL, NOWAIT, POLL, PIPE_WAYS };
static _Atomic(uint8_t) pipe_way;

static bool is_terminal(int fd)
{
	enum { GET_SETTINGS = 0x5401 }; /* TCGETS */
	char settings[256];		/* more than any struct termios */

	return sys_ioctl(fd, GET_SETTINGS, settings) == 0;
}

static enum kind kind_by(unsigned int type, int fd)
{
	switch (type) {
	case S_IFREG:
		return PLAIN_FILE;
	case S_IFIFO:
		return PIPE;
	case S_IFSOCK:
		return SOCKET;
	}
	return is_terminal(fd) ? TERMINAL : DEVICE;
}

/* Or -errno. */
static int kind_of(int fd)
{
	struct statx stat;
	const int rc = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat);

	return rc < 0 ? rc : (int)kind_by(stat.stx_mode & S_IFMT, fd);
}

bool sink_is_terminal(void)
{
	return sink.kind == TERMINAL;
}

bool sink_may_wait(void)
{
	return sink.kind == TERMINAL || sink.kind == DEVICE;
}

uint16_t sink_width(void)
{
	struct winsize size;
	const int fd = sink.kind == TERMINAL ? own_checked(OWN_LOG) : -1;

	return fd >= 0 && sys_ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

typedef long write_way(int fd, const struct iovec *line);

/*
 * Write with a signal held back: where the write raised it for this thread, it is
 * taken away again before the program could see it.
 */
static long write_masked(int signal, write_way *way, int fd, const struct iovec *line)
{
	static const struct timespec at_once;
	const uint64_t set = UINT64_C(1) << (signal - 1);
	uint64_t old, pending = 0;
	long rc;

	rc = sys_sigprocmask(SIG_BLOCK, &set, &old);
	if (rc < 0)
		return rc;
	sys_sigpending(&pending);
	rc = way(fd, line);
	if (rc < 0 && !(pending & set))
		sys_sigtimedwait(&set, NULL, &at_once);
	sys_sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static long write_plainly(int fd, const struct iovec *line)
{
	return sys_write(fd, line->iov_base, line->iov_len);
}

static long write_nowait(int fd, const struct iovec *line)
{
	return sys_pwritev2_here(fd, line, 1, RWF_NOWAIT);
}

/* Before Linux 6.5 a pipe knows no RWF_NOWAIT: it has room for a line where it polls writable. */
static long write_polled(int fd, const struct iovec *line)
{
	struct pollfd poll = {.fd = fd, .events = POLLOUT};
	const int rc = sys_poll_now(&poll);

	if (rc < 0)
		return rc;
	return poll.revents & POLLOUT ? write_plainly(fd, line) : -EAGAIN;
}

static long write_pipe_by(enum pipe_way way, int fd, const struct iovec *line)
{
	switch (way) {
	case NOWAIT_NOSIGNAL:
		return sys_pwritev2_here(fd, line, 1, RWF_NOWAIT | RWF_NOSIGNAL);
	case NOWAIT:
		return write_masked(SIGPIPE, write_nowait, fd, line);
	default:
		return write_masked(SIGPIPE, write_polled, fd, line);
	}
}

/*
 * Is it no answer of a pipe's or a socket's, but that the call can't be had? An older kernel says
 * EOPNOTSUPP, an emulator ENOSYS or EINVAL, a filter what it likes.
 */
static bool is_refusal(long rc)
{
	return rc < 0 && rc != -EAGAIN && rc != -EPIPE && rc != -EBADF && rc != -EINTR;
}

/* What the next call will be answered, too; a want of memory passes. */
static bool is_refusal_for_good(long rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -ENOSYS || rc == -EINVAL || rc == -EOPNOTSUPP;
}

static long write_pipe(int fd, const struct iovec *line)
{
	const uint8_t known = atomic_load_explicit(&pipe_way, memory_order_relaxed);
	uint8_t way = known;
	long rc = write_pipe_by(way, fd, line);
	bool for_good = true;

	while (is_refusal(rc) && ++way < PIPE_WAYS) {
		for_good &= is_refusal_for_good(rc);
		rc = write_pipe_by(way, fd, line);
	}
	if (way != known && way < PIPE_WAYS && for_good)
		atomic_store(&pipe_way, way);
	return rc;
}

/* A file may have a largest size, and to go over it raises SIGXFSZ. */
static uint64_t largest_size(void)
{
	struct rlimit64 limit;

	return sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 ? RLIM64_INFINITY : limit.rlim_cur;
}

static long write_below(uint64_t largest, int fd, const struct iovec *line)
{
	return largest == RLIM64_INFINITY ? write_plainly(fd, line)
					  : write_masked(SIGXFSZ, write_plainly, fd, line);
}

static long write_file(int fd, const struct iovec *line)
{
	return write_below(largest_size(), fd, line);
}

/* A terminal may stop who writes to it from the background. */
static long write_terminal(int fd, const struct iovec *line)
{
	return write_masked(SIGTTOU, write_plainly, fd, line);
}

static long send_line(int fd, const struct iovec *line)
{
	return sys_sendto(fd, line->iov_base, line->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

static long write_socket(int fd, const struct iovec *line)
{
	long rc = send_line(fd, line);

	/* The reader is gone; perhaps there is another at the same place. */
	if ((rc == -ECONNREFUSED || rc == -ENOTCONN || rc == -EPIPE) && sink.addr_len &&
	    sys_connect(fd, &sink.addr, sink.addr_len) == 0)
		rc = send_line(fd, line);
	/* Other errors are a send's own answers. */
	return is_refusal_for_good(rc) ? write_masked(SIGPIPE, write_polled, fd, line) : rc;
}

static long write_to(int fd, enum kind kind, const char *text, size_t len)
{
	const struct iovec line = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};

	switch (kind) {
	case NO_SINK:
		break;
	case PLAIN_FILE:
		return write_file(fd, &line);
	case DEVICE:
		return write_plainly(fd, &line);
	case TERMINAL:
		return write_terminal(fd, &line);
	case PIPE:
		return write_pipe(fd, &line);
	case SOCKET:
		return write_socket(fd, &line);
	}
	return -EBADF;
}

/*
 * Can lines not be written there at all, since a filter refuses it? It must be known at load, as
 * long as it can be told. A pipe is written nothing; a socket would send that, so it is sent what
 * can't be read (EFAULT).
 */
static int refused(enum kind kind, int fd)
{
	static char none[1];
	static const struct iovec nothing = {.iov_base = none}, nowhere = {.iov_len = 1};
	struct pollfd poll = {.fd = fd, .events = POLLOUT};
	long rc = 0;

	if (kind == PIPE)
		rc = write_pipe(fd, &nothing);
	else if (kind == SOCKET && is_refusal_for_good(send_line(fd, &nowhere)))
		rc = sys_poll_now(&poll);
	return is_refusal(rc) ? (int)rc : 0;
}

int sink_open_fd(int fd)
{
	const int high = own_adopt(OWN_LOG, fd);
	enum kind kind;
	int rc;

	if (high < 0)
		return high;
	kind = kind_by(own_type(OWN_LOG), high);
	rc = refused(kind, high);
	if (rc < 0) {
		own_close(OWN_LOG);
		return rc;
	}
	sink.kind = kind;
	sink.appends = sys_fcntl(high, F_GETFL, 0) & O_APPEND;
	atomic_store(&doubt, sink.kind == PLAIN_FILE ? LOOK : SURE);
	return 0;
}

int sink_open_unix(const struct sockaddr_un *addr, unsigned int len, bool again)
{
	const int fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return fd;
	rc = sys_connect(fd, addr, len);
	if (rc < 0) {
		sys_close(fd);
		return rc;
	}
	sink.addr = *addr;
	sink.addr_len = again ? len : 0;
	return sink_open_fd(fd);
}

/* Be it a file or a terminal. */
static long write_by_no_kind(int fd, const struct iovec *line)
{
	return write_masked(SIGTTOU, write_file, fd, line);
}

void sink_write_once(int fd, const char *text, size_t len)
{
	const struct iovec line = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};
	const int kind = kind_of(fd);

	/* Of what is not known, the most careful way; where that can't be had, as any program does,
	 * but that no signal comes of it. */
	if (is_refusal(write_to(fd, kind < 0 ? PIPE : (enum kind)kind, text, len)) &&
	    (kind < 0 || kind == PIPE || kind == SOCKET))
		write_masked(SIGPIPE, write_by_no_kind, fd, &line);
}

/*
 * Is a line of another process just being written? The kernel shows a file larger before all
 * of a line is in it; a write of nothing waits for the one that is under way (its inode's lock).
 */
static bool has_grown(int fd, uint64_t *size)
{
	const uint64_t before = *size;

	sys_write(fd, "", 0);
	return own_checked_size(OWN_LOG, size) == fd && *size != before;
}

/*
 * A file that may not be read, and what is no file, ends as our last write left it. A line is
 * torn where nobody goes on with it; while others do, a few looks are enough.
 */
static bool ends_torn(int fd, uint64_t size, enum doubt seen)
{
	enum { LOOKS = 4 };
	char last;

	for (int i = 0; i < LOOKS; i++) {
		if (sink.kind != PLAIN_FILE || sys_pread(fd, &last, 1, (int64_t)size - 1) != 1)
			return seen == TORN && (sink.kind != PLAIN_FILE || size > 0);
		if (last == '\n')
			return false;
		if (!has_grown(fd, &size))
			return true;
	}
	return false;
}

/* Would the limit cut a line that long? Then it is not begun. */
static bool is_too_much(int fd, uint64_t size, size_t len, uint64_t largest)
{
	const int64_t here = sink.appends ? (int64_t)size : sys_lseek(fd, 0, SEEK_CUR);

	return here < 0 || (uint64_t)here + len > largest;
}

static long put(int fd, const char *text, size_t len, uint64_t largest)
{
	const struct iovec line = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};

	return sink.kind == PLAIN_FILE ? write_below(largest, fd, &line)
				       : write_to(fd, sink.kind, text, len);
}

bool sink_write(const char *line, size_t len)
{
	const uint64_t largest = sink.kind == PLAIN_FILE ? largest_size() : RLIM64_INFINITY;
	uint8_t seen = atomic_load_explicit(&doubt, memory_order_relaxed);
	/* Below a limit others' lines are cut as well. */
	const bool looks = seen || largest != RLIM64_INFINITY;
	uint64_t size = 0;
	const int fd = looks ? own_checked_size(OWN_LOG, &size) : own_checked(OWN_LOG);
	bool torn;
	long rc;

	if (fd < 0)
		return false;
	torn = looks && ends_torn(fd, size, seen);
	if (largest != RLIM64_INFINITY && is_too_much(fd, size, len + torn, largest)) {
		if (!seen)
			atomic_store(&doubt, LOOK);
		return false;
	}
	if (torn && put(fd, "\n", 1, largest) != 1)
		return false;
	/* A line that another thread has cut meanwhile stays in doubt. */
	if (seen)
		atomic_compare_exchange_strong(&doubt, &seen, SURE);
	rc = put(fd, line, len, largest);
	if (rc != (long)len)
		atomic_store(&doubt, rc > 0 ? TORN : LOOK);
	return rc == (long)len;
}

bool sink_await_room(uint64_t most_ns)
{
	struct timespec left = {/* the kernel counts it down */
				.tv_sec = (time_t)(most_ns / 1000000000),
				.tv_nsec = (long)(most_ns % 1000000000)};
	struct pollfd poll = {.fd = own_checked(OWN_LOG), .events = POLLOUT};

	if (poll.fd < 0 || (sink.kind != PIPE && sink.kind != SOCKET))
		return false;
	return SYS6(SYS_ppoll, &poll, 1, &left, 0, 0, 0) == 1 && poll.revents == POLLOUT;
}
