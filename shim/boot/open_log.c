/*
 * open_log.c - where the events go, opened at load.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/names.h"
#include "facts/out.h"
#include "log/ring.h"
#include "log/sink.h"
#include "sys/sys.h"

int expand_path(char *ret, size_t size, const struct settings *set, const char *prog)
{
	const char *path = set->log_path, *end = path + set->log_path_len;
	struct out out = out_into(ret, size - 1);

	for (; path < end; path++) {
		if (*path != '%' || path + 1 == end || !strchr("pn%", path[1])) {
			out_char(&out, *path);
			continue;
		}
		path++;
		if (*path == '%')
			out_char(&out, '%');
		else if (*path == 'p')
			out_i64(&out, sys_getpid());
		else
			for (const char *c = prog; *c; c++)
				out_char(&out, *c == '/' ? '_' : *c);
	}
	*out.at = '\0'; /* its place was kept */
	return out.truncated ? -1 : (int)out_len(&out);
}

/* A copy of the program's own stderr or stdout, as it is at load. */
static int open_standard(int fd)
{
	const int copy = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? copy : sink_open_fd(copy);
}

static int open_file(const char *path)
{
	/* A FIFO that nobody reads would wait for its reader: ENXIO instead. */
	const int fd =
		sys_openat(AT_FDCWD, path,
			   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	return fd < 0 ? fd : sink_open_fd(fd);
}

/* unix:PATH; a path that begins with @ is of the abstract namespace. */
static int open_unix(const char *path, size_t len)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const bool abstract = path[0] == '@';

	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	if (abstract)
		addr.sun_path[0] = '\0';
	else
		len++; /* with its end */
	/* From another folder a relative path would lead elsewhere: once, and never again. */
	return sink_open_unix(&addr, (unsigned int)(offsetof(struct sockaddr_un, sun_path) + len),
			      abstract || path[0] == '/');
}

/* A ring that can't be made leaves no file behind. */
static int make_ring(const char *path, int flags, uint64_t size)
{
	const int fd = sys_openat(AT_FDCWD, path, flags | O_CREAT | O_EXCL, 0600);
	int rc = fd < 0 ? fd : ring_open(fd, size);

	if (fd >= 0 && rc < 0)
		sys_unlinkat(AT_FDCWD, path);
	return rc;
}

static int open_ring(const char *path, uint64_t size)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int rc = -ENOENT;

	/* Where it is not there, another process may be faster in making it. */
	for (int tries = 0; tries < 2 && (rc == -ENOENT || rc == -EEXIST); tries++) {
		const int fd = sys_openat(AT_FDCWD, path, flags, 0);

		rc = fd == -ENOENT ? make_ring(path, flags, size) : fd;
		if (fd >= 0)
			rc = ring_open(fd, size);
	}
	return rc;
}

/* Why it can't be opened. */
static const char *reason(int rc)
{
	const char *name = error_name(-rc);

	if (rc == -EBADMSG)
		return "not a flight recorder of this version, and left as it is";
	return name ? name : "?";
}

bool log_open(const struct settings *set, const char *prog)
{
	static const char *const kinds[] = {[LOG_UNIX] = "unix:", [LOG_RING] = "ring:"};
	const char *kind = kinds[set->log] ? kinds[set->log] : "";
	const char *what = set->log == LOG_STDERR ? "stderr" : "stdout";
	char path[4096];
	int rc = -ENAMETOOLONG, len = 0;

	if (set->log >= LOG_FILE) {
		len = expand_path(path, sizeof(path), set, prog);
		what = path;
	}
	if (set->log == LOG_STDERR)
		rc = open_standard(STDERR_FILENO);
	else if (set->log == LOG_STDOUT)
		rc = open_standard(STDOUT_FILENO);
	else if (set->log == LOG_FILE && len >= 0)
		rc = open_file(path);
	else if (set->log == LOG_UNIX && len >= 0)
		rc = open_unix(path, (size_t)len);
	else if (set->log == LOG_RING && len >= 0)
		rc = open_ring(path, set->ring_size);

	if (rc < 0)
		COMPLAIN("TCPSHIM_LOG", set, "TCPSHIM_LOG=", kind, what, " can't be opened (", reason(rc),
			 "); nothing is logged");
	return rc == 0;
}
