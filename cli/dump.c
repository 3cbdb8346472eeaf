/*
 * dump.c - tcpshim dump: the flight recorder's events, in order of time, as the
 * lines that the log would have had; with --follow also those that still come.
 *
 * The file is read into a copy, chunk by chunk. What differs from the last copy is
 * new, so that following needs nothing of the writers, who never notice.
 *
 * They write on while we read: of a process that has gone on to another chunk we may
 * see the end and not what came before. So all is read twice, and only what the first
 * reading found, or what comes before that, is shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "facts/ring_file.h"
#include "facts/settings.h"
#include "log/render.h"
#include "records.h"

/* A record of the copy, and by what it is sorted. */
struct entry {
	uint64_t time_ns, seq;
	uint64_t at;
	int32_t pid;
	bool late; /* found by the second reading */
};

struct dump {
	const char *path;
	bool follow;
	struct settings set; /* format and color */
	bool colored;
	int fd;
	struct ring_head head;
	size_t size; /* of all chunks */
	char *copy;  /* of them, as they were last read */
	char *fresh; /* one chunk as it is now */
	struct entry *entries;
	size_t count, room;
	bool again; /* this is the second reading */
};

static bool failed(const struct dump *dump, const char *what)
{
	cli_say("dump", "%s: %s", dump->path, what);
	return false;
}

/* Room for all chunks of that ring, none of which has been read. */
static bool make_copy(struct dump *dump, const struct ring_head *head)
{
	free(dump->copy);
	free(dump->fresh);
	dump->head = *head;
	dump->size = head->chunks * head->chunk_size;
	dump->copy = calloc(1, dump->size);
	dump->fresh = malloc(head->chunk_size);
	return dump->copy && dump->fresh ? true : failed(dump, "no memory for a copy of it");
}

static bool add_entry(struct dump *dump, uint64_t at)
{
	struct entry *more = dump->entries;
	struct event ev;

	if (!record_read(dump->copy + at, &ev))
		return true;
	if (dump->count == dump->room) {
		dump->room = dump->room ? dump->room * 2 : 4096;
		more = realloc(dump->entries, dump->room * sizeof(*more));
		if (!more)
			return failed(dump, "no memory for its events");
		dump->entries = more;
	}
	more[dump->count++] = (struct entry){ev.time_ns, ev.seq, at, ev.pid, dump->again};
	return true;
}

/* Whole records in fresh that were not there before become entries. */
static bool find_new(struct dump *dump, uint64_t start, size_t len)
{
	char *old = dump->copy + start;
	size_t size;

	for (size_t at = 0; at < len; at += size ? size : RECORD_ALIGN) {
		size = record_size(dump->fresh + at, len - at);
		if (!size || memcmp(dump->fresh + at, old + at, size) == 0)
			continue;
		memcpy(old + at, dump->fresh + at, size);
		if (!add_entry(dump, start + at))
			return false;
	}
	memcpy(old, dump->fresh, len);
	return true;
}

/* Somebody has truncated the file, and the next program made a ring of another size of it. */
static bool keep_up(struct dump *dump)
{
	struct ring_head head;

	if (pread(dump->fd, &head, sizeof(head), 0) != sizeof(head) || !ring_head_is_known(&head) ||
	    head.size == dump->head.size)
		return true;
	dump->count = 0;
	return make_copy(dump, &head);
}

/* Read what there is now. */
static bool read_ring(struct dump *dump)
{
	if (!keep_up(dump))
		return false;
	for (uint32_t chunk = 0; chunk < dump->head.chunks; chunk++) {
		const uint64_t at = ring_chunk_at(&dump->head, chunk);
		const uint64_t start = at - RING_DATA_AT;
		const ssize_t got = pread(dump->fd, dump->fresh, dump->head.chunk_size, (off_t)at);

		if (got < 0)
			return failed(dump, strerror(errno));
		if (memcmp(dump->fresh, dump->copy + start, (size_t)got) != 0 &&
		    !find_new(dump, start, (size_t)got))
			return false;
	}
	return true;
}

static int in_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_process(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/*
 * What has come since the first reading, by the process's own count, is left for the
 * next time: there it is new again. Return whether there is such.
 */
static bool leave_late(struct dump *dump)
{
	const size_t found = dump->count;
	int32_t pid = 0;
	bool seen = false;

	if (!found)
		return false;
	qsort(dump->entries, found, sizeof(*dump->entries), by_process);
	/* From the newest of each process on, until one that the first reading found. */
	for (size_t i = found; i-- > 0;) {
		struct entry *entry = &dump->entries[i];

		seen = (seen && pid == entry->pid) || !entry->late;
		pid = entry->pid;
		if (seen)
			continue;
		memset(dump->copy + entry->at, 0, sizeof(struct ring_record));
		*entry = dump->entries[--dump->count];
	}
	return dump->count < found;
}

/* The same event still, and not one that the second reading found in its place. */
static bool is_still(const struct dump *dump, const struct entry *entry, struct event *ret)
{
	const char *record = dump->copy + entry->at;

	return record_size(record, dump->size - entry->at) && record_read(record, ret) &&
	       ret->pid == entry->pid && ret->seq == entry->seq && ret->time_ns == entry->time_ns;
}

static void print_entry(const struct dump *dump, const struct entry *entry)
{
	char line[RECORD_MOST];
	struct out out = out_into(line, sizeof(line));
	struct event ev;

	if (!is_still(dump, entry, &ev))
		return;
	if (dump->set.format == FORMAT_JSON)
		render_json(&out, &ev);
	else
		render_text(&out, &ev, dump->colored);
	if (!out.truncated)
		fwrite(line, 1, out_len(&out), stdout);
}

/* False where nobody can be told any more. */
static bool print_new(struct dump *dump)
{
	if (dump->count)
		qsort(dump->entries, dump->count, sizeof(*dump->entries), in_time);
	for (size_t i = 0; i < dump->count; i++)
		print_entry(dump, &dump->entries[i]);
	dump->count = 0;
	return fflush(stdout) == 0;
}

static bool open_ring(struct dump *dump)
{
	dump->fd = open(dump->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return dump->fd >= 0 ? true : failed(dump, strerror(errno));
}

static bool is_zeros(const struct ring_head *head)
{
	static const struct ring_head zeros;

	return memcmp(head, &zeros, sizeof(zeros)) == 0;
}

/*
 * Somebody has truncated the file, or is just making it: until the next event it has no
 * head, or one of zeros. Who follows waits: *ret_found is false.
 */
static bool find_ring(struct dump *dump, bool *ret_found)
{
	struct ring_head head = {.name = ""};
	const ssize_t got = pread(dump->fd, &head, sizeof(head), 0);

	*ret_found = false;
	if (got < 0)
		return failed(dump, strerror(errno));
	if (dump->follow && ((size_t)got < sizeof(head) || is_zeros(&head)))
		return true;
	if (got == 0)
		return failed(dump, "empty: nothing has been recorded yet");
	if ((size_t)got < sizeof(head) || memcmp(head.name, RING_NAME, sizeof(RING_NAME)) != 0)
		return failed(dump, "not a flight recorder");
	if (!ring_head_is_known(&head))
		return failed(dump, "a flight recorder of another version of libreuse");
	*ret_found = true;
	return make_copy(dump, &head);
}

/* What was there when we began. With *ret_more something has come since. */
static bool dump_once(struct dump *dump, bool *ret_more)
{
	dump->again = false;
	if (!read_ring(dump))
		return false;
	dump->again = true;
	if (!read_ring(dump))
		return false;
	*ret_more = leave_late(dump);
	return print_new(dump);
}

/* Dump what there is, where there is a ring. */
static bool dump_found(struct dump *dump, bool *ret_more)
{
	bool found = dump->copy != NULL;

	*ret_more = false;
	if (!found && !find_ring(dump, &found))
		return false;
	return found ? dump_once(dump, ret_more) : true;
}

/* A writer's pwrite wakes us; many within a moment are read together. */
static bool dump_on(struct dump *dump)
{
	static const struct timespec moment = {.tv_nsec = 20000000};
	const int watch = inotify_init1(IN_CLOEXEC);
	_Alignas(struct inotify_event) char said[4096];
	bool more, good = watch >= 0 && inotify_add_watch(watch, dump->path, IN_MODIFY) >= 0;

	if (!good)
		return failed(dump, strerror(errno));
	do {
		good = dump_found(dump, &more);
		nanosleep(&moment, NULL);
	} while (good && (more || read(watch, said, sizeof(said)) > 0));
	close(watch);
	return good;
}

static int show(struct dump *dump)
{
	bool more, good = open_ring(dump);

	if (good)
		good = dump->follow ? dump_on(dump) : dump_found(dump, &more);
	if (dump->fd >= 0)
		close(dump->fd);
	free(dump->copy);
	free(dump->fresh);
	free(dump->entries);
	return good ? STATUS_FINE : STATUS_USAGE;
}

static int help(void)
{
	puts("Usage: tcpshim dump [OPTION...] RING\n"
	     "Print the events that the flight recorder RING keeps, the oldest first. It is the "
	     "file\n"
	     "that tcpshim run --log=ring:RING (or TCPSHIM_LOG=ring:RING) has made.\n"
	     "\n"
	     "  -f, --follow\n"
	     "          go on with the events that come, until interrupted\n"
	     "  --format=FORMAT\n"
	     "          text (the default) or json: one object a line\n"
	     "  --json  the same as --format=json\n"
	     "  --color=WHEN\n"
	     "          colours in the text: auto (the default: on a terminal), always or never\n"
	     "  --help, --version");
	return STATUS_FINE;
}

/* As the library understands the variable's value; false, and told, where it does not. */
static bool understand(struct dump *dump, const char *variable, const char *value)
{
	for (unsigned int i = 0; i < settings_count; i++) {
		if (strcmp(settings_table[i].variable, variable) != 0)
			continue;
		if (settings_table[i].parse(&dump->set, value))
			return true;
		cli_say("dump", "%s is not understood (accepted: %s)", value,
			settings_table[i].accepted);
	}
	return false;
}

static void choose_color(struct dump *dump)
{
	const char *no_color = getenv("NO_COLOR");

	dump->colored = dump->set.color == COLOR_ALWAYS ||
			(dump->set.color == COLOR_AUTO && isatty(STDOUT_FILENO) &&
			 !(no_color && *no_color));
}

static int refuse(int refused, char **argv, const struct option *options)
{
	char text[256];
	struct out wrong = out_into(text, sizeof(text) - 1);

	cli_refused(&wrong, refused, argv, options);
	*wrong.at = '\0';
	return cli_usage("dump", text);
}

int dump_main(int argc, char **argv)
{
	enum { FORMAT = 256, JSON, COLOR, HELP, VERSION };
	static const struct option options[] = {
		{"follow", no_argument, NULL, 'f'},
		{"format", required_argument, NULL, FORMAT},
		{"json", no_argument, NULL, JSON},
		{"color", required_argument, NULL, COLOR},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{0},
	};
	struct dump dump = {.fd = -1};
	bool understood = true;
	int option;

	settings_init(&dump.set);
	opterr = 0;
	while (understood && (option = getopt_long(argc, argv, ":f", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			dump.follow = true;
			break;
		case FORMAT:
			understood = understand(&dump, "TCPSHIM_FORMAT", optarg);
			break;
		case JSON:
			dump.set.format = FORMAT_JSON;
			break;
		case COLOR:
			understood = understand(&dump, "TCPSHIM_COLOR", optarg);
			break;
		case HELP:
			return help();
		case VERSION:
			return cli_version();
		default:
			return refuse(option, argv, options);
		}
	}
	if (!understood)
		return STATUS_USAGE;
	if (argc - optind != 1)
		return cli_usage("dump", "one RING is to be given");
	dump.path = argv[optind];
	choose_color(&dump);
	return show(&dump);
}
