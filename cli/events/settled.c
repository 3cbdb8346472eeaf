/* SPDX-License-Identifier: MIT */
/*
 * settled.c - see settled.h.
 */
#include "events/settled.h"

#include <stdlib.h>

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

static int in_time(const void *a, const void *b)
{
	const struct ring_entry *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

bool settled_sort(struct ring_reader *reader, size_t first, bool follow, size_t *ret_shown)
{
	if (!leave_gone(reader) || !leave_replaced(reader) || !leave_late(reader, first, ret_shown))
		return false;
	if (follow)
		leave_unfinished(reader, ret_shown);
	if (*ret_shown)
		qsort(reader->entries, *ret_shown, sizeof(*reader->entries), in_time);
	return true;
}
