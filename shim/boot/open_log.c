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
#include "log/sink.h"
#include "sys/sys.h"

int expand_path(char *ret, size_t size, const char *path, const char *prog)
{
	struct out out = out_into(ret, size - 1);

	for (; *path; path++) {
		if (*path != '%' || !strchr("pn%", path[1]) || !path[1]) {
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

bool log_open(const struct settings *set, const char *prog)
{
	const char *kind = set->log == LOG_UNIX ? "unix:" : "";
	const char *what = set->log == LOG_STDERR ? "stderr" : "stdout";
	char path[4096];
	int rc = -ENAMETOOLONG, len = 0;

	if (set->log == LOG_FILE || set->log == LOG_UNIX) {
		len = expand_path(path, sizeof(path), set->log_path, prog);
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

	if (rc < 0) {
		const char *name = error_name(-rc);

		COMPLAIN("TCPSHIM_LOG=", kind, what, " can't be opened (", name ? name : "?",
			 "); nothing is logged");
	}
	return rc == 0;
}
