/* SPDX-License-Identifier: MIT */
/*
 * drain.c - see drain.h. What settled.h says of looks goes for these. What is overwritten between
 * two of them leaves a gap in its program's numbers (images.h).
 */
#include "events/drain.h"

#include <errno.h>
#include <unistd.h>

#include "events/records.h"
#include "events/settled.h"

/* Has the first program made a recorder of the file? False where it can't be read. */
static bool begin(struct drain *drain)
{
	struct ring_front front = {.head = {.name = ""}};

	if (drain->began)
		return true;
	if (pread(drain->fd, &front, sizeof(front), 0) < 0)
		return false;
	/* None yet, or in the midst of being made. */
	if (!reader_knows(&front))
		return true;
	drain->reader.fd = drain->fd;
	drain->began = reader_begin(&drain->reader, &front);
	return drain->began;
}

static void show(struct drain *drain, size_t shown, drain_visit *visit, void *arg)
{
	struct ring_reader *reader = &drain->reader;
	struct event ev;

	for (size_t i = 0; i < shown; i++) {
		const struct ring_entry *entry = &reader->entries[i];

		/* Copied is copied: what has been overwritten since is shown, too. */
		if (!settled_shows(entry, true))
			continue;
		if (record_read(&reader->format, reader_record(reader, entry), &ev))
			visit(&ev, arg);
		else
			drain->unread++;
	}
	reader_drop(reader, shown);
}

bool drain_look(struct drain *drain, bool last, drain_visit *visit, void *arg)
{
	struct ring_reader *reader = &drain->reader;
	size_t first, shown;

	if (!begin(drain))
		return false;
	if (!drain->began)
		return true;
	if (!reader_look(reader))
		return false;
	first = reader->count;
	drain->fills = reader->used > reader->head.chunks * reader->head.chunk_size / 8;
	if (!first)
		return true;
	if (!reader_look(reader))
		return false;
	if (last)
		first = reader->count;
	if (!settled_sort(reader, first, !last, &shown))
		return false;
	show(drain, shown, visit, arg);
	return true;
}

void drain_end(struct drain *drain)
{
	if (drain->began)
		reader_end(&drain->reader);
}
