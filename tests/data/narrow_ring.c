/*
 * narrow_ring.c - a flight recorder as a 32-bit build of this tree would write it: the same tables
 * and the same writer of records, laid out by that compiler. tests/e2e/test_builds.py makes it.
 *
 * Usage: narrow_ring FILE. Says how large an event is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/description.h"
#include "facts/ring_file.h"
#include "log/record.h"
#include "reuse/event.h"

static struct event begin(enum call_id call, uint64_t seq)
{
	struct event ev = {
		.time_ns = UINT64_C(1700000000) * 1000000000 + seq * 1000,
		.dur_ns = UINT64_C(1) << 40,
		.seq = seq,
		.pid = 42,
		.tid = 43,
		.fd = 3,
		.call = (uint8_t)call,
		.has_fd = true,
		.has_ret = true,
		.has_sock = true,
		.prog = "narrow",
		.sock = {.cookie = UINT64_C(1) << 33 | 17, .state = STATE_CLOSED},
	};

	return ev;
}

/* An event of each kind of member that may lie elsewhere, or be of another size. */
static unsigned int make_events(struct event *ret)
{
	ret[0] = begin(CALL_fcntl, 1);
	ret[0].ret = -1;
	ret[0].error = EINVAL;
	ret[0].has_args = true;
	ret[0].args.fcntl.command = F_DUPFD;
	ret[0].args.fcntl.newfd = -2;

	ret[1] = begin(CALL_dup2, 2);
	ret[1].ret = 7;
	ret[1].has_args = true;
	ret[1].args.newfd = 7;
	ret[1].has_closed = true;
	ret[1].more.closed.fd = 7;
	ret[1].more.closed.sock.cookie = 18;
	ret[1].more.closed.sock.state = STATE_TIME_WAIT;

	ret[2] = begin(CALL_close, 3);
	ret[2].notes = NOTE_BIT(NOTE_LOST_EVENTS) | NOTE_BIT(NOTE_CLOSE_WAIT);
	ret[2].figures.lost = UINT64_C(1) << 34;
	ret[2].figures.close_wait_ms = 2500;
	ret[2].sock.was = STATE_CLOSE_WAIT;
	ret[2].sock.via[0] = STATE_LAST_ACK;
	ret[2].sock.n_via = 1;
	return 3;
}

static bool write_at(FILE *file, long at, const void *bytes, size_t size)
{
	return fseek(file, at, SEEK_SET) == 0 && fwrite(bytes, size, 1, file) == 1;
}

int main(int argc, char **argv)
{
	static struct ring_table table;
	struct event events[3];
	uint64_t words[RECORD_MOST / sizeof(uint64_t)];
	FILE *file = argc > 1 ? fopen(argv[1], "wb") : NULL;
	const unsigned int count = make_events(events);
	long at;
	bool good;

	if (!file)
		return 1;
	table.front.head = ring_head_of(RING_SIZE_LEAST);
	memcpy(table.front.description, ring_description(), sizeof(table.front.description));
	table.times[0] = events[count - 1].time_ns & ~(uint64_t)RING_LEFT;
	good = write_at(file, 0, &table, sizeof(table));
	at = (long)ring_chunk_at(&table.front.head, 0);
	for (unsigned int i = 0; i < count; i++) {
		const uint16_t size = record_of(&events[i], words, sizeof(words));

		good &= write_at(file, at, words, size);
		at += size;
	}
	good &= write_at(file, (long)table.front.head.size - 1, "", 1);
	printf("%zu\n", sizeof(struct event));
	return fclose(file) == 0 && good ? 0 : 1;
}
