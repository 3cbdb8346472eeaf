/* SPDX-License-Identifier: MIT */
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
#include "boot/log_path.h"
#include "facts/out.h"
#include "facts/ring_file.h"
#include "log/ring.h"
#include "log/sink.h"
#include "sys/sys.h"

int expand_path(char *ret, size_t size, const struct settings *set, const char *prog, pid_t pid)
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
			out_i64(&out, pid);
		else
			for (const char *c = prog; *c; c++)
				out_char(&out, *c == '/' ? '_' : *c);
	}
	*out.at = '\0'; /* its place was kept */
	return out.truncated ? -1 : (int)out_len(&out);
}

static const char *done(int rc)
{
	return rc < 0 ? error_words(rc) : NULL;
}

/* A copy of a descriptor of the program's, as it is at load. */
static const char *open_descriptor(int fd)
{
	const char *fault = descriptor_fault(fd);
	int copy;

	if (fault)
		return fault;
	copy = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return done(copy < 0 ? copy : sink_open_fd(copy));
}

static const char *open_file(const char *path)
{
	const int named = descriptor_named(path);
	const char *fault;
	struct statx stat;
	int fd;

	if (named >= 0)
		return open_descriptor(named);
	fault = log_path_open(path, O_APPEND, &fd, &stat);
	return fault ? fault : done(sink_open_fd(fd));
}

/* …/systemd/journal/socket: systemd's own protocol is spoken there, and lines dropped in silence.
 */
static bool is_journals_own(const char *path)
{
	static const char folder[] = "/systemd/journal", end[] = "/socket";
	const char *last = strrchr(path, '/'), *in = strstr(path, folder);

	/* journal.NAME: of a namespace */
	return last && in && strcmp(last, end) == 0 && strchr(in + sizeof(folder) - 1, '/') == last;
}

/* Why nobody takes datagrams there. */
static const char *no_reader(const char *path, int rc)
{
	struct statx stat;

	if (rc == -EPROTOTYPE)
		return "a stream socket; events are sent as datagrams";
	if (rc == -ECONNREFUSED && path[0] != '@' &&
	    sys_statx(AT_FDCWD, path, 0, STATX_TYPE, &stat) == 0)
		return S_ISSOCK(stat.stx_mode) ? "a socket that nobody reads" : "no socket";
	return error_words(rc);
}

/* Datagrams to a path; an abstract one begins with @. */
static const char *connect_to(const char *path, size_t len)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const bool abstract = path[0] == '@';
	int rc;

	if (len >= sizeof(addr.sun_path))
		return error_words(-ENAMETOOLONG);
	memcpy(addr.sun_path, path, len);
	if (abstract)
		addr.sun_path[0] = '\0';
	else
		len++; /* with its end */
	/* From another folder a relative path would lead elsewhere: once, and never again. */
	rc = sink_open_unix(&addr, (unsigned int)(offsetof(struct sockaddr_un, sun_path) + len),
			    abstract || path[0] == '/');
	return rc < 0 ? no_reader(path, rc) : NULL;
}

const char *log_open_unix(const char *path, size_t len)
{
	if (is_journals_own(path))
		return "systemd's own protocol is spoken there: TCPSHIM_LOG=journal";
	return connect_to(path, len);
}

const char *log_open_journal(void)
{
	static const char path[] = "/run/systemd/journal/socket";

	return connect_to(path, sizeof(path) - 1);
}

/*
 * A head may claim any size, and the file would be made as large. NULL: this one has the room
 * that its head claims, or as much was asked for, or it is for ring_open to judge.
 */
static const char *judge_ring(int fd, const struct statx *stat, uint64_t asked)
{
	enum { BLOCK = 512 };
	struct ring_head head;

	if (sys_pread(fd, &head, sizeof(head), 0) != sizeof(head) || !ring_head_is_ours(&head) ||
	    head.size <= asked)
		return NULL;
	if (stat->stx_size >= head.size && stat->stx_blocks >= head.size / BLOCK)
		return NULL;
	return "its head claims more than the file has, and more than was asked for";
}

static const char of_another_build[] = "a recorder of another build";
static const char removed[] = "removed as soon as it is there";

/* A ring that can't be made leaves no file behind. */
static const char *try_ring(const char *path, uint64_t size, bool *ret_made)
{
	const char *fault;
	struct statx stat;
	int fd, rc;

	fault = log_path_open(path, 0, &fd, &stat);
	if (fault)
		return fault;
	*ret_made = stat.stx_mask == 0;
	fault = *ret_made ? NULL : judge_ring(fd, &stat, size);
	if (fault) {
		sys_close(fd);
		return fault;
	}
	rc = ring_open(fd, size, path, *ret_made);
	if (rc == -ESTALE)
		return removed;
	if (rc == -EPROTO)
		return of_another_build;
	if (rc == -EBADMSG)
		return "not a flight recorder of this version, and left as it is";
	return done(rc);
}

/* Who can't make a ring of the file that it has made removes it, perhaps under us. */
static const char *open_ring(const char *path, uint64_t size, bool *ret_made)
{
	enum { TRIES = 5 };
	const char *fault = removed;

	for (int i = 0; i < TRIES && fault == removed; i++)
		fault = try_ring(path, size, ret_made);
	return fault;
}

/* ".1a2b3c4d" behind the path: the same for all processes of this build. */
static bool name_beside(char *end, size_t room)
{
	struct out name = out_into(end, room - 1);
	const uint64_t layout = ring_head_of(RING_SIZE_LEAST).layout;
	const uint32_t sum = (uint32_t)(layout ^ layout >> 32);

	out_char(&name, '.');
	out_hex_bytes(&name, (const uint8_t *)&sum, sizeof(sum));
	*name.at = '\0';
	return !name.truncated;
}

/*
 * What another build records into stays as it is, and what it holds is read still. We go on
 * in a file of our own beside it. Told where that file is made.
 */
static const char *open_ring_or_beside(char *path, size_t room, size_t len,
				       const struct settings *set)
{
	bool made;
	const char *fault = open_ring(path, set->ring_size, &made);

	if (fault != of_another_build)
		return fault;
	if (!name_beside(path + len, room - len))
		return error_words(-ENAMETOOLONG);
	fault = open_ring(path, set->ring_size, &made);
	if (!fault && made)
		COMPLAIN("TCPSHIM_LOG", set, "TCPSHIM_LOG=ring:", path,
			 ": recording into this file, because the one without ", path + len,
			 " is another build's, and left as it is");
	return fault;
}

/* path: of the sinks that have one, expanded; len: of that. */
static const char *open_sink(const struct settings *set, char *path, size_t room, size_t len)
{
	switch (set->log) {
	case LOG_STDERR:
		return open_descriptor(STDERR_FILENO);
	case LOG_STDOUT:
		return open_descriptor(STDOUT_FILENO);
	case LOG_FILE:
		return open_file(path);
	case LOG_JOURNAL:
		return log_open_journal();
	case LOG_UNIX:
		return log_open_unix(path, len);
	case LOG_RING:
		return open_ring_or_beside(path, room, len, set);
	case LOG_OFF:
	case LOG_KINDS:
		break;
	}
	return "no place for a log";
}

bool log_open(const struct settings *set, const char *prog, pid_t pid)
{
	const char *fault = error_words(-ENAMETOOLONG);
	char path[4096];
	int len = 0;

	*path = '\0';
	if (set->log >= LOG_FILE)
		len = expand_path(path, sizeof(path), set, prog, pid);
	if (len >= 0)
		fault = open_sink(set, path, sizeof(path), (size_t)len);
	if (fault)
		COMPLAIN("TCPSHIM_LOG", set, "TCPSHIM_LOG=", log_words[set->log], path,
			 " can't be opened (", fault, "); nothing is logged");
	return !fault;
}
