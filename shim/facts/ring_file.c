/*
 * ring_file.c - see ring_file.h.
 */
#include "facts/ring_file.h"

#include <stddef.h>
#include <string.h>

#include "facts/sum.h"
#include "reuse/event.h"

enum { PAGE = 4096 };

/*
 * A struct event means something to those who compiled the same one: its parts are
 * where they were, and as many things have names. Also tells the byte order.
 */
static uint64_t layout(void)
{
	static const uint64_t parts[] = {
		sizeof(struct event),
		offsetof(struct event, args),
		offsetof(struct event, sock),
		offsetof(struct event, more),
		sizeof(union event_more),
		offsetof(struct event, figures),
		CALL_COUNT,
		NOTE_COUNT,
		STATE_COUNT,
		sizeof(struct ring_place),
	};

	return sum_words(SUM_BEGIN, parts, sizeof(parts) / sizeof(parts[0]));
}

static uint64_t sum_of(const struct ring_head *head)
{
	uint64_t words[offsetof(struct ring_head, sum) / sizeof(uint64_t)];

	memcpy(words, head, sizeof(words));
	return sum_words(SUM_BEGIN, words, sizeof(words) / sizeof(words[0]));
}

/* As many chunks as there are numbers for, since a process holds one as long as it lives. */
struct ring_head ring_head_of(uint64_t size)
{
	struct ring_head head = {
		.name = RING_NAME,
		.version = RING_VERSION,
		.layout = layout(),
		.size = size / PAGE * PAGE,
	};
	const uint64_t room = head.size - RING_DATA_AT;

	head.chunk_size = (room / RING_CHUNKS_MOST + PAGE - 1) / PAGE * PAGE;
	head.chunks = (uint32_t)(room / head.chunk_size);
	head.sum = sum_of(&head);
	return head;
}

bool ring_head_is_known(const struct ring_head *head)
{
	struct ring_head same;

	if (head->size < RING_SIZE_LEAST || head->size > RING_SIZE_MOST)
		return false;
	same = ring_head_of(head->size);
	return memcmp(head, &same, sizeof(same)) == 0;
}

uint64_t ring_record_sum(const uint64_t *words, uint16_t size)
{
	const size_t head = sizeof(struct ring_record) / sizeof(uint64_t);

	return sum_words(sum_words(SUM_BEGIN, words, 1), words + head,
			 size / sizeof(uint64_t) - head);
}
