/*
 * dump.c - tcpshim dump: the flight recorder's events, in order of time, as the
 * lines that the log would have had; with --follow also those that still come.
 *
 * The writers write on while we read: of a process that has gone on to another chunk we
 * may see the end and not what came before. So each time we look twice, and only what the
 * first look found, or what comes before that and the second look found, is shown. And of
 * what is just being overwritten we may see the beginning and not what came next: what the
 * second look finds overwritten is not shown, nor what is older, unless we follow.
 *
 * A failure that is repeated is written anew with each repetition, for a second, in two places by
 * turns: of its records the one that tells most is shown, by who follows only when that is over.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "facts/reader.h"
#include "facts/ring_file.h"
#include "facts/settings.h"
#include "log/render.h"
#include "records.h"
#include "ring_reader.h"

struct dump {
	const char *path;
	bool follow;
	struct settings set; /* format and color */
	struct text_style style;
	bool printed;	/* anything */
	bool waits;	/* for a ring that is to be, which has been told */
	size_t unknown; /* events of calls that only another build has */
	struct ring_reader reader;
};

static const char not_one[] = "not a flight recorder";

static bool failed(const struct dump *dump, const char *what)
{
	cli_say("dump", "%s: %s", dump->path, what);
	return false;
}

static int in_time(const void *a, const void *b)
{
	const struct ring_entry *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A process, and the newest of some events of it; 0: none. */
struct process {
	int32_t pid;
	uint64_t seq, time_ns;
};

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static struct process *find_process(struct process *processes, size_t count, int32_t pid)
{
	const struct process key = {.pid = pid};

	return bsearch(&key, processes, count, sizeof(key), by_pid);
}

/* Each once: how many. */
static size_t sort_processes(struct process *processes, size_t count)
{
	size_t found = 0;

	qsort(processes, count, sizeof(*processes), by_pid);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || processes[i].pid != processes[i - 1].pid)
			processes[found++] = processes[i];
	return found;
}

static void note_newest(struct process *processes, size_t count, const struct ring_entry *entry)
{
	struct process *process = find_process(processes, count, entry->pid);

	if (process && process->seq < entry->seq)
		process->seq = entry->seq;
	if (process && process->time_ns < entry->time_ns)
		process->time_ns = entry->time_ns;
}

/* Those whose events the second look found, with the newest that the first one found. */
static size_t list_processes(const struct ring_reader *reader, size_t first, struct process *ret)
{
	size_t count = 0;

	for (size_t i = first; i < reader->count; i++)
		ret[count++] = (struct process){.pid = reader->entries[i].pid};
	count = sort_processes(ret, count);
	for (size_t i = 0; count && i < first; i++)
		note_newest(ret, count, &reader->entries[i]);
	return count;
}

/*
 * What is older than an event of its process that has been overwritten goes with it. The same
 * number may be a later program's, and the time a clock's that was set back.
 */
static bool leave_gone(struct ring_reader *reader)
{
	struct ring_entry *const end = reader->entries + reader->count;
	struct process *gone;
	size_t count = 0;

	for (struct ring_entry *entry = reader->entries; entry < end; entry++)
		count += entry->gone;
	gone = malloc((count + 1) * sizeof(*gone));
	if (!gone)
		return false;
	count = 0;
	for (struct ring_entry *entry = reader->entries; entry < end; entry++)
		if (entry->gone)
			gone[count++] = (struct process){.pid = entry->pid};
	count = sort_processes(gone, count);
	for (struct ring_entry *entry = reader->entries; count && entry < end; entry++)
		if (entry->gone)
			note_newest(gone, count, entry);
	for (struct ring_entry *entry = reader->entries; count && entry < end; entry++) {
		const struct process *process = find_process(gone, count, entry->pid);

		if (process && entry->seq <= process->seq && entry->time_ns <= process->time_ns)
			entry->gone = true;
	}
	free(gone);
	return true;
}

/*
 * What has come since the first look, which found that many entries, by the process's own
 * count, is left for the next time. What is to be shown now comes to the front: how many
 * entries. False for want of memory.
 */
static bool leave_late(struct ring_reader *reader, size_t first, size_t *ret_shown)
{
	struct process *processes = malloc((reader->count - first + 1) * sizeof(*processes));
	size_t count;

	if (!processes)
		return false;
	count = list_processes(reader, first, processes);
	*ret_shown = first;
	for (size_t i = first; i < reader->count; i++) {
		const struct ring_entry entry = reader->entries[i];
		const struct process *process = find_process(processes, count, entry.pid);

		if (!process || process->seq < entry.seq)
			continue;
		reader->entries[i] = reader->entries[*ret_shown];
		reader->entries[(*ret_shown)++] = entry;
	}
	free(processes);
	return true;
}

/* Those that are repeated, each failure's records together, in the order of the repetitions. */
static int by_failure(const void *a, const void *b)
{
	const struct ring_entry *x = *(struct ring_entry *const *)a;
	const struct ring_entry *y = *(struct ring_entry *const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->since_ns != y->since_ns)
		return x->since_ns < y->since_ns ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->times < y->times ? -1 : x->times > y->times;
}

static bool same_failure(const struct ring_entry *x, const struct ring_entry *y)
{
	return x->pid == y->pid && x->since_ns == y->since_ns && x->seq == y->seq;
}

/* Of each repeated failure the last record is left. False for want of memory. */
static bool leave_replaced(struct ring_reader *reader)
{
	struct ring_entry **repeated;
	size_t count = 0;

	for (size_t i = 0; i < reader->count; i++)
		count += reader->entries[i].times != 0;
	repeated = malloc((count + 1) * sizeof(struct ring_entry *));
	if (!repeated)
		return false;
	count = 0;
	for (size_t i = 0; i < reader->count; i++)
		if (reader->entries[i].times)
			repeated[count++] = &reader->entries[i];
	qsort(repeated, count, sizeof(*repeated), by_failure);
	for (size_t i = 0; i + 1 < count; i++)
		repeated[i]->replaced = same_failure(repeated[i], repeated[i + 1]);
	free(repeated);
	return true;
}

/* What may still be written anew is left for the next time. A clock may be set back. */
static void leave_unfinished(struct ring_reader *reader, size_t *shown)
{
	const uint64_t now = (uint64_t)reader_time(), most = 2000000000;
	struct ring_entry *const entries = reader->entries;

	for (size_t i = *shown; i-- > 0;) {
		const struct ring_entry entry = entries[i];

		if (!entry.times || entry.replaced || entry.final_ns <= now ||
		    entry.final_ns > now + most)
			continue;
		entries[i] = entries[--*shown];
		entries[*shown] = entry;
	}
}

static void print_entry(struct dump *dump, const struct ring_entry *entry)
{
	char line[RECORD_MOST];
	struct out out = out_into(line, sizeof(line));
	struct event ev;

	if ((entry->gone && !dump->follow) || entry->replaced)
		return;
	if (!record_read(&dump->reader.format, reader_record(&dump->reader, entry), &ev)) {
		dump->unknown += ev.call == CALL_COUNT && !dump->reader.format.ours;
		return;
	}
	if (dump->set.format == FORMAT_JSON)
		render_json(&out, &ev);
	else
		render_text(&out, &ev, &dump->style);
	if (!out.truncated)
		fwrite_unlocked(line, 1, out_len(&out), stdout);
	dump->printed = true;
}

/* False where nobody can be told any more. */
static bool print(struct dump *dump, size_t count)
{
	if (count)
		qsort(dump->reader.entries, count, sizeof(*dump->reader.entries), in_time);
	for (size_t i = 0; i < count; i++)
		print_entry(dump, &dump->reader.entries[i]);
	return fflush(stdout) == 0;
}

static bool open_ring(struct dump *dump)
{
	struct stat stat;

	dump->reader.fd = open(dump->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (dump->reader.fd < 0 || fstat(dump->reader.fd, &stat) < 0)
		return failed(dump, strerror(errno));
	return S_ISREG(stat.st_mode) ? true : failed(dump, not_one);
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
static bool wait_for_it(struct dump *dump)
{
	if (!dump->waits)
		cli_say("dump", "%s: nothing has been recorded yet; waiting", dump->path);
	dump->waits = true;
	return true;
}

/* The front of the file; once more where a writer is just in the midst of it. As pread returns. */
static ssize_t read_front(struct dump *dump, struct ring_front *ret)
{
	enum { TRIES = 20 };
	const struct timespec moment = {.tv_nsec = 1000000};
	ssize_t got = 0;

	for (int i = 0; i < TRIES; i++) {
		got = pread(dump->reader.fd, ret, sizeof(*ret), 0);
		if (got < (ssize_t)sizeof(*ret) || ret->head.version != RING_VERSION ||
		    reader_knows(ret))
			break;
		nanosleep(&moment, NULL);
	}
	return got;
}

/*
 * Somebody has truncated the file, or is just making it: until the next event it has no
 * head, or one of zeros. Who follows waits: *ret_found is false.
 */
static bool find_ring(struct dump *dump, bool *ret_found)
{
	struct ring_front front = {.head = {.name = ""}};
	const struct ring_head *head = &front.head;
	const ssize_t got = read_front(dump, &front);

	*ret_found = false;
	if (got < 0)
		return failed(dump, strerror(errno));
	if (dump->follow && may_become_one(head, (size_t)got))
		return wait_for_it(dump);
	if (got == 0)
		return failed(dump, "empty: nothing has been recorded yet");
	if ((size_t)got < sizeof(front) || memcmp(head->name, RING_NAME, sizeof(RING_NAME)) != 0 ||
	    (head->version == RING_VERSION && !ring_head_is_one(head)) || !head->version)
		return failed(dump, not_one);
	if (head->version < RING_VERSION)
		return failed(dump, "a flight recorder that does not describe itself, of an early "
				    "libreuse 0.1.0: only the tcpshim of that build reads it");
	if (!reader_knows(&front))
		return failed(dump, "a flight recorder of another version of libreuse");
	*ret_found = true;
	return reader_begin(&dump->reader, &front) ? true : failed(dump, strerror(errno));
}

/* What was there when we began. With *ret_more something has come since. */
static bool dump_once(struct dump *dump, bool *ret_more)
{
	struct ring_reader *reader = &dump->reader;
	size_t first, shown;
	bool good;

	if (!reader_look(reader))
		return failed(dump, strerror(errno));
	first = reader->count;
	if (first == 0)
		return true;
	if (!reader_look(reader) || !leave_gone(reader) || !leave_replaced(reader) ||
	    !leave_late(reader, first, &shown))
		return failed(dump, strerror(errno));
	if (dump->follow)
		leave_unfinished(reader, &shown);
	*ret_more = shown < reader->count;
	good = print(dump, shown);
	reader_drop(reader, shown);
	return good;
}

/* Dump what there is, where there is a ring. */
static bool dump_found(struct dump *dump, bool *ret_more)
{
	bool found = dump->reader.chunks != NULL;

	*ret_more = false;
	if (!found && !find_ring(dump, &found))
		return false;
	return found ? dump_once(dump, ret_more) : true;
}

/*
 * Until somebody writes, or it is time to look at what was written before, at *written. False
 * where waiting fails.
 */
static bool await_more(const struct dump *dump, int watch, int64_t *written)
{
	_Alignas(struct inotify_event) char said[4096];
	struct pollfd wait = {.fd = watch, .events = POLLIN};
	const int64_t due = dump->reader.chunks ? reader_due(&dump->reader, *written) : -1;
	const int ready = poll(&wait, 1, due < 0 ? -1 : (int)(due / 1000000) + 1);

	if (ready < 0)
		return errno == EINTR ? true : failed(dump, strerror(errno));
	if (ready == 0)
		return true;
	if (read(watch, said, sizeof(said)) < 0)
		return failed(dump, strerror(errno));
	*written = reader_now();
	return true;
}

/* A writer's pwrite wakes us; many within a moment are read together. */
static bool dump_on(struct dump *dump)
{
	static const struct timespec moment = {.tv_nsec = 20000000};
	const int watch = inotify_init1(IN_CLOEXEC);
	bool more, good = watch >= 0 && inotify_add_watch(watch, dump->path, IN_MODIFY) >= 0;
	int64_t written = 0;

	if (!good)
		return failed(dump, strerror(errno));
	do {
		good = dump_found(dump, &more);
		nanosleep(&moment, NULL);
	} while (good && (more || await_more(dump, watch, &written)));
	close(watch);
	return good;
}

/* Once; again where meanwhile all that was found has been overwritten. */
static bool dump_now(struct dump *dump)
{
	enum { TRIES = 100 };
	bool more = true, good = true;

	for (int i = 0; i < TRIES && good && more && !dump->printed; i++)
		good = dump_found(dump, &more);
	return good;
}

/* PATH.N, N being 8 hexadecimal digits? */
static bool is_beside(const char *name, const char *base)
{
	const size_t len = strlen(base);

	return strncmp(name, base, len) == 0 && name[len] == '.' && strlen(name + len + 1) == 8 &&
	       strspn(name + len + 1, "0123456789abcdef") == 8;
}

/* Other builds record beside a recorder that they find: whoever wants all must know. */
static void name_others(const struct dump *dump)
{
	const char *slash = strrchr(dump->path, '/');
	const char *base = slash ? slash + 1 : dump->path;
	const int folder_len = (int)(base - dump->path);
	char *folder = strndup(folder_len ? dump->path : ".", folder_len ? (size_t)folder_len : 1);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;

	free(folder);
	while (dir && (entry = readdir(dir)))
		if (is_beside(entry->d_name, base))
			cli_say("dump", "%s: another build recorded into %.*s%s", dump->path,
				folder_len, dump->path, entry->d_name);
	if (dir)
		closedir(dir);
}

static int show(struct dump *dump)
{
	bool good = open_ring(dump);

	name_others(dump);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (good)
		good = dump->follow ? dump_on(dump) : dump_now(dump);
	if (dump->unknown)
		cli_say("dump", "%s: %zu event%s left out: of a call that this build does not know",
			dump->path, dump->unknown, dump->unknown == 1 ? "" : "s");
	if (dump->reader.fd >= 0)
		close(dump->reader.fd);
	reader_end(&dump->reader);
	return good ? STATUS_FINE : STATUS_USAGE;
}

static int help(void)
{
	puts("Usage: tcpshim dump [OPTION...] RING\n"
	     "Print the events that the flight recorder RING keeps, the oldest first. It is\n"
	     "the file that tcpshim run --log=ring:RING (or TCPSHIM_LOG=ring:RING) has made.\n"
	     "\n"
	     "  -f, --follow\n"
	     "          go on with the events that come, until interrupted\n"
	     "  --format=FORMAT\n"
	     "          text (the default) or json: one object a line\n"
	     "  --json  the same as --format=json\n"
	     "  --color=WHEN\n"
	     "          colours in the text: auto (the default: on a terminal), always or\n"
	     "          never\n"
	     "  -h, --help, -V, --version");
	return STATUS_FINE;
}

/* As the library understands the variable's value; false, and told, where it does not. */
static bool understand(struct dump *dump, const char *option, const char *variable,
		       const char *value)
{
	char text[800];
	struct out wrong = out_into(text, sizeof(text) - 1);

	for (unsigned int i = 0; i < settings_count; i++) {
		if (strcmp(settings_table[i].variable, variable) != 0)
			continue;
		if (settings_table[i].parse(&dump->set, value))
			return true;
		settings_refuse(&wrong, option, &settings_table[i], value);
	}
	*wrong.at = '\0';
	cli_usage("dump", text);
	return false;
}

/* Whose text it is: the terminal's, as it is now, and the locale's. */
static void know_reader(struct dump *dump)
{
	struct winsize size = {0};
	const bool terminal = isatty(STDOUT_FILENO);

	if (terminal)
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	dump->style = (struct text_style){
		.colored = reader_wants_color(dump->set.color, terminal, getenv("NO_COLOR"),
					      getenv("TERM")),
		.utf8 = reader_knows_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")),
		.width = size.ws_col,
	};
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
	enum { FORMAT = 256, JSON, COLOR };
	static const struct option options[] = {
		{"follow", no_argument, NULL, 'f'},
		{"format", required_argument, NULL, FORMAT},
		{"json", no_argument, NULL, JSON},
		{"color", required_argument, NULL, COLOR},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct dump dump = {.reader = {.fd = -1}};
	bool understood = true;
	int option;

	settings_init(&dump.set);
	opterr = 0;
	while (understood && (option = getopt_long(argc, argv, ":fhV", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			dump.follow = true;
			break;
		case FORMAT:
			understood = understand(&dump, "--format", "TCPSHIM_FORMAT", optarg);
			break;
		case JSON:
			dump.set.format = FORMAT_JSON;
			break;
		case COLOR:
			understood = understand(&dump, "--color", "TCPSHIM_COLOR", optarg);
			break;
		case 'h':
			return help();
		case 'V':
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
	know_reader(&dump);
	return show(&dump);
}
