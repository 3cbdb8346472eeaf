/* SPDX-License-Identifier: MIT */
/*
 * ring_file.c - see ring_file.h.
 */
#include "facts/ring_file.h"

#include <stddef.h>
#include <string.h>

#include "facts/description.h"
#include "facts/sum.h"

enum { PAGE = 4096 };

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
		.layout = ring_description_sum(ring_description()),
		.size = size / PAGE * PAGE,
	};
	const uint64_t room = head.size - RING_DATA_AT;

	head.chunk_size = (room / RING_CHUNKS_MOST + PAGE - 1) / PAGE * PAGE;
	head.chunks = (uint32_t)(room / head.chunk_size);
	head.sum = sum_of(&head);
	return head;
}

bool ring_head_is_one(const struct ring_head *head)
{
	struct ring_head same;

	if (head->size < RING_SIZE_LEAST || head->size > RING_SIZE_MOST)
		return false;
	same = ring_head_of(head->size);
	same.layout = head->layout;
	same.sum = sum_of(&same);
	return memcmp(head, &same, sizeof(same)) == 0;
}

bool ring_head_is_ours(const struct ring_head *head)
{
	return ring_head_is_one(head) && head->layout == ring_description_sum(ring_description());
}

size_t ring_record_here(const void *bytes, size_t len, size_t least)
{
	struct ring_record head;

	memcpy(&head, bytes, sizeof(head));
	if (head.magic != RECORD_MAGIC || head.size % RECORD_ALIGN || head.size > RECORD_MOST ||
	    head.size < sizeof(head) + head.event_size || head.event_size < least)
		return 0;
	if (head.size > len)
		return head.size;
	return ring_record_sum(bytes, head.size) == head.sum ? head.size : 0;
}

uint64_t ring_record_sum(const uint64_t *words, uint16_t size)
{
	const size_t head = sizeof(struct ring_record) / sizeof(uint64_t);

	return sum_words(sum_words(SUM_BEGIN, words, 1), words + head,
			 size / sizeof(uint64_t) - head);
}
