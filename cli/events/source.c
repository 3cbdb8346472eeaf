/* SPDX-License-Identifier: MIT */
/*
 * source.c - see source.h. What is followed is watched (inotify): its writers notice nothing.
 */
#include "events/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "events/records.h"
#include "events/settled.h"
#include "facts/ring_file.h"

static const char neither[] = "neither a flight recorder nor a log in JSON";
static const char is_empty[] = "empty: nothing has been recorded yet";

static bool is_stdin(const struct source *source)
{
	return strcmp(source->path, "-") == 0;
}

/* As it is called where something is told of it. */
static const char *name_of(const struct source *source)
{
	return is_stdin(source) ? "standard input" : source->path;
}

static bool failed(const struct source *source, const char *what)
{
	cli_say(source->who, "%s: %s", name_of(source), what);
	return false;
}

static bool is_zeros(const struct ring_head *head)
{
	static const struct ring_head zeros;

	return memcmp(head, &zeros, sizeof(zeros)) == 0;
}

/* Could these bytes become a head when the rest is written? They are zeros, or its beginning. */
static bool may_become_one(const struct ring_head *head, size_t got)
{
	const size_t name = got < sizeof(RING_NAME) ? got : sizeof(RING_NAME);

	return is_zeros(head) || (got < RING_TIMES_AT && memcmp(head->name, RING_NAME, name) == 0);
}

/* Who waits is told for what. */
static bool wait_for_it(struct source *source)
{
	if (!source->ring.waits)
		cli_say(source->who, "%s: nothing has been recorded yet; waiting", name_of(source));
	source->ring.waits = true;
	return true;
}

/* The front of the file; once more where a writer is just in the midst of it. As pread returns. */
static ssize_t read_front(int fd, struct ring_front *ret)
{
	enum { TRIES = 20 };
	const struct timespec moment = {.tv_nsec = 1000000};
	ssize_t got = 0;

	for (int i = 0; i < TRIES; i++) {
		got = pread(fd, ret, sizeof(*ret), 0);
		if (got < (ssize_t)sizeof(*ret) || ret->head.version != RING_VERSION ||
		    reader_knows(ret))
			break;
		nanosleep(&moment, NULL);
	}
	return got;
}

static bool begin_lines(struct source *source)
{
	source->kind = SOURCE_LINES;
	return (lines_begin(&source->log.lines, EVENT_LINE_MOST) &&
		event_json_begin(&source->log.reader)) ||
	       failed(source, strerror(errno));
}

/* PATH.N, N being 8 hexadecimal digits? */
static bool is_beside(const char *name, const char *base)
{
	const size_t len = strlen(base);

	return strncmp(name, base, len) == 0 && name[len] == '.' && strlen(name + len + 1) == 8 &&
	       strspn(name + len + 1, "0123456789abcdef") == 8;
}

/* Other builds record beside a recorder that they find: whoever wants all must know. */
static void name_others(const struct source *source)
{
	const char *slash = strrchr(source->path, '/');
	const char *base = slash ? slash + 1 : source->path;
	const int folder_len = (int)(base - source->path);
	char *folder =
		strndup(folder_len ? source->path : ".", folder_len ? (size_t)folder_len : 1);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;

	free(folder);
	while (dir && (entry = readdir(dir)))
		if (is_beside(entry->d_name, base))
			cli_say(source->who, "%s: another build recorded into %.*s%s", source->path,
				folder_len, source->path, entry->d_name);
	if (dir)
		closedir(dir);
}

/* Of a file that begins as a ring does: can this build read it? */
static bool begin_ring(struct source *source, struct ring_front *front, size_t got)
{
	const struct ring_head *head = &front->head;

	if (!is_stdin(source) && !source->quiet)
		name_others(source);
	if (got < sizeof(*front) || memcmp(head->name, RING_NAME, sizeof(RING_NAME)) != 0 ||
	    (head->version == RING_VERSION && !ring_head_is_one(head)) || !head->version)
		return failed(source, neither);
	if (head->version < RING_VERSION)
		return failed(source,
			      "a flight recorder that does not describe itself, of an early "
			      "libreuse 0.1.0: only the tcpshim of that build reads it");
	if (!reader_knows(front))
		return failed(source, "a flight recorder of another version of libreuse");
	source->kind = SOURCE_RING;
	return reader_begin(&source->ring.reader, front) || failed(source, strerror(errno));
}

/*
 * What is it? Somebody has truncated the file, or is just making it: until the next event a ring
 * has no head, or one of zeros. Who follows waits, and it is undecided.
 */
static bool decide(struct source *source)
{
	struct ring_front front = {.head = {.name = ""}};
	const ssize_t got = read_front(source->fd, &front);

	if (got < 0)
		return failed(source, strerror(errno));
	if (source->follow && may_become_one(&front.head, (size_t)got))
		return wait_for_it(source);
	if (got == 0)
		return failed(source, is_empty);
	if (is_zeros(&front.head) || memcmp(front.head.name, RING_NAME, strlen(RING_NAME)) == 0)
		return begin_ring(source, &front, (size_t)got);
	return begin_lines(source);
}

/* From where it stands it is read as a pipe is; a plain file may be a ring. */
static bool look_at_stdin(struct source *source)
{
	struct stat stat;

	source->fd = STDIN_FILENO;
	if (fstat(source->fd, &stat) < 0)
		return failed(source, strerror(errno));
	if (S_ISDIR(stat.st_mode))
		return failed(source, neither);
	return (S_ISREG(stat.st_mode) && lseek(source->fd, 0, SEEK_CUR) == 0) ||
	       begin_lines(source);
}

/* A pipe is read as it comes; that nobody has it open for writing is its end. */
static bool open_path(struct source *source)
{
	struct stat stat;

	source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (source->fd < 0 || fstat(source->fd, &stat) < 0)
		return failed(source, strerror(errno));
	source->log.until = stat.st_size;
	if (S_ISREG(stat.st_mode))
		return true;
	if (!S_ISFIFO(stat.st_mode))
		return failed(source, neither);
	if (fcntl(source->fd, F_SETFL, 0) < 0)
		return failed(source, strerror(errno));
	return begin_lines(source);
}

/* A plain file alone is followed: a pipe ends by itself. */
static bool begin_to_follow(struct source *source)
{
	const char *path = is_stdin(source) ? "/dev/stdin" : source->path;
	struct stat stat;

	if (fstat(source->fd, &stat) == 0 && !S_ISREG(stat.st_mode))
		return true;
	source->watch = inotify_init1(IN_CLOEXEC);
	return (source->watch >= 0 && inotify_add_watch(source->watch, path, IN_MODIFY) >= 0) ||
	       failed(source, strerror(errno));
}

struct source *source_make(const char *who, const char *path)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source) {
		source->who = who;
		source->path = path;
	}
	return source;
}

void source_free(struct source *source)
{
	free(source);
}

bool source_open(struct source *source)
{
	bool good;

	source->fd = source->watch = -1;
	good = is_stdin(source) ? look_at_stdin(source) : open_path(source);
	source->ring.reader.fd = source->fd;
	return good && (!source->follow || begin_to_follow(source));
}

/*
 * Until somebody writes, or it is time to look at what was written before. False where waiting
 * fails.
 */
static bool await_more(struct source *source)
{
	_Alignas(struct inotify_event) char said[4096];
	struct source_ring *ring = &source->ring;
	struct pollfd wait = {.fd = source->watch, .events = POLLIN};
	const int64_t due =
		source->kind == SOURCE_RING ? reader_due(&ring->reader, ring->written) : -1;
	const int ready = poll(&wait, 1, due < 0 ? -1 : (int)(due / 1000000) + 1);

	if (ready < 0)
		return errno == EINTR ? true : failed(source, strerror(errno));
	if (ready == 0)
		return true;
	if (read(source->watch, said, sizeof(said)) < 0)
		return failed(source, strerror(errno));
	ring->written = reader_now();
	return true;
}

/* A writer's pwrite wakes us; many within a moment are read together. */
static bool await_look(struct source *source)
{
	static const struct timespec moment = {.tv_nsec = 20000000};

	if (!source->follow || !source->ring.looks)
		return true;
	nanosleep(&moment, NULL);
	return source->ring.more || await_more(source);
}

/*
 * What was there when the look began. A second one finds what came in its way; and a third, what
 * was overwritten while that took long: all that is older than an event that nobody has found was
 * overwritten before it.
 */
static bool look(struct source *source)
{
	struct source_ring *ring = &source->ring;
	struct ring_reader *reader = &ring->reader;
	size_t first;

	ring->looks++;
	ring->more = false;
	if (source->kind == SOURCE_UNDECIDED && !decide(source))
		return false;
	if (source->kind != SOURCE_RING)
		return true;
	if (!reader_look(reader))
		return failed(source, strerror(errno));
	first = reader->count;
	if (first == 0)
		return true;
	if (!reader_look(reader) || !reader_look(reader) ||
	    !settled_sort(reader, first, source->follow, &ring->shown))
		return failed(source, strerror(errno));
	ring->more = ring->shown < reader->count;
	return true;
}

/* The next of what has been found. False where there is none any more. */
static bool next_found(struct source *source, struct event *ret)
{
	struct source_ring *ring = &source->ring;
	const struct ring_reader *reader = &ring->reader;

	while (ring->at < ring->shown) {
		const struct ring_entry *entry = &reader->entries[ring->at++];

		if (!settled_shows(entry, source->follow))
			continue;
		if (record_read(&reader->format, reader_record(reader, entry), ret))
			return true;
		if (ret->call == CALL_COUNT && !reader->format.ours)
			source->unknown++;
		else
			source->ring.unsound++;
	}
	reader_drop(&ring->reader, ring->shown);
	ring->at = ring->shown = 0;
	return false;
}

/* Once; again where meanwhile all that was found has been overwritten. */
static bool looks_again(const struct source *source)
{
	enum { TRIES = 100 };
	const struct source_ring *ring = &source->ring;

	return source->follow || (ring->more && !source->events && ring->looks < TRIES);
}

static enum source_got fetch_looking(struct source *source)
{
	if (source->ring.looks && !looks_again(source))
		return SOURCE_END;
	return await_look(source) && look(source) ? SOURCE_PAUSE : SOURCE_FAILED;
}

/* A log that is made anew, or cut after it was copied, begins anew. */
static bool begin_anew(struct source *source)
{
	struct stat stat;
	const off_t at = lseek(source->fd, 0, SEEK_CUR);

	if (at < 0 || fstat(source->fd, &stat) < 0 || stat.st_size >= at)
		return false;
	source->log.left_out += source->log.lines.end != source->log.lines.begin;
	lines_anew(&source->log.lines);
	return lseek(source->fd, 0, SEEK_SET) == 0;
}

static bool read_line(struct source *source, const char *line, size_t len, struct event *ret)
{
	switch (event_json_read(&source->log.reader, line, len, ret)) {
	case LINE_EVENT:
		return true;
	case LINE_UNKNOWN:
		source->unknown++;
		return false;
	case LINE_OTHER:
		source->log.left_out++;
		return false;
	}
	return false;
}

/* What there was has been read: was it a log? */
static bool was_log(struct source *source)
{
	const struct lines *lines = &source->log.lines;

	if (source->events || source->unknown)
		return true;
	if (source->log.left_out || (lines->begin < lines->end && lines->room[lines->begin] != '{'))
		return failed(source, neither);
	return source->follow || failed(source, is_empty);
}

/* Of the last line the newline may be missing. */
static enum source_got end_lines(struct source *source, struct event *ret)
{
	const char *line;
	size_t len;

	if (lines_rest(&source->log.lines, &line, &len) && read_line(source, line, len, ret))
		return SOURCE_EVENT;
	return was_log(source) ? SOURCE_END : SOURCE_FAILED;
}

/* Who does not follow a log that is written to reads what was there, and so comes to an end. */
static bool has_read_all(const struct source *source)
{
	return !source->follow && source->log.until > 0 &&
	       lseek(source->fd, 0, SEEK_CUR) >= source->log.until;
}

static enum source_got fetch_lines(struct source *source, struct event *ret)
{
	const ssize_t got = has_read_all(source) ? 0 : lines_read(&source->log.lines, source->fd);

	if (got > 0)
		return SOURCE_PAUSE;
	if (got < 0)
		return failed(source, strerror(errno)) ? SOURCE_END : SOURCE_FAILED;
	if (source->watch < 0)
		return end_lines(source, ret);
	if (begin_anew(source))
		return SOURCE_PAUSE;
	return was_log(source) && await_more(source) ? SOURCE_PAUSE : SOURCE_FAILED;
}

static bool next_line(struct source *source, struct event *ret)
{
	const char *line;
	size_t len;

	for (;;)
		switch (lines_next(&source->log.lines, &line, &len)) {
		case LINES_ONE:
			if (read_line(source, line, len, ret))
				return true;
			break;
		case LINES_LONG:
			source->log.left_out++;
			break;
		case LINES_NONE:
			return false;
		}
}

/* One that need not be waited for. */
static bool next_at_hand(struct source *source, struct event *ret)
{
	note_said = NULL;
	return source->kind == SOURCE_LINES ? next_line(source, ret) : next_found(source, ret);
}

enum source_got source_next(struct source *source, struct event *ret)
{
	enum source_got got = SOURCE_PAUSE;

	while (got == SOURCE_PAUSE) {
		if (next_at_hand(source, ret)) {
			got = SOURCE_EVENT;
		} else if (!source->paused) {
			source->paused = true;
			return SOURCE_PAUSE;
		} else {
			got = source->kind == SOURCE_LINES ? fetch_lines(source, ret)
							   : fetch_looking(source);
		}
	}
	source->paused = false;
	source->events += got == SOURCE_EVENT;
	return got;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

void source_close(struct source *source)
{
	const bool lines = source->kind == SOURCE_LINES;
	const uint64_t unknown = source->unknown, left_out = source->log.left_out;

	if (unknown && !source->quiet)
		cli_say(source->who,
			"%s: %" PRIu64 " event%s left out: of a %s that this build does not know",
			name_of(source), unknown, plural(unknown),
			lines ? "call or version" : "call");
	if (left_out && (source->events || unknown) && !source->quiet)
		cli_say(source->who, "%s: %" PRIu64 " line%s left out: no event of libreuse",
			name_of(source), left_out, plural(left_out));
	if (source->ring.unsound && !source->quiet)
		cli_say(source->who,
			"%s: %" PRIu64 " event%s left out: whole, and yet not what libreuse writes",
			name_of(source), source->ring.unsound, plural(source->ring.unsound));
	if (source->watch >= 0)
		close(source->watch);
	if (source->fd > STDIN_FILENO)
		close(source->fd);
	reader_end(&source->ring.reader);
	lines_end(&source->log.lines);
	event_json_end(&source->log.reader);
}
