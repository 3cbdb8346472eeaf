/* SPDX-License-Identifier: MIT */
/*
 * proofs.c - see proofs.h. The process page has the table: a forked child, which may come under
 * other programs of the kernel's, begins without proofs. A newer one displaces an older one; then
 * a question is asked once more.
 */
#include "observe/proofs.h"

#include <netinet/in.h>
#include <string.h>

#include "facts/sum.h"
#include "sys/process.h"

/* A sum of all that makes two sockets alike; 0 for one that is like no other. */
static uint64_t sum_of(const struct diag_id *id)
{
	const struct endpoint *end = id->opened == OPENED_BY_PEER ? &id->local : &id->peer;
	const struct {
		struct endpoint end;
		uint32_t ifindex;
		uint16_t family;
		uint8_t opened, multipath;
	} alike = {*end, id->ifindex, id->local.family, id->opened, id->protocol != IPPROTO_TCP};
	uint64_t words[sizeof(alike) / sizeof(uint64_t)];

	_Static_assert(sizeof(alike) % sizeof(uint64_t) == 0, "whole words, no gaps");
	if (id->opened == OPENED_UNKNOWN || !id->local.family || !id->peer.family)
		return 0;
	memcpy(words, &alike, sizeof(words));

	const uint64_t sum = sum_words(SUM_BEGIN, words, sizeof(words) / sizeof(words[0]));

	return sum ? sum : 1;
}

static _Atomic(uint64_t) *place_of(uint64_t sum)
{
	/* The highest bits of a product: all bits of the sum have a part in them. */
	return &this_process.proofs[sum * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PROOF_BITS)];
}

bool proofs_have(const struct diag_id *id)
{
	const uint64_t sum = sum_of(id);

	return sum && atomic_load_explicit(place_of(sum), memory_order_relaxed) == sum;
}

void proofs_add(const struct diag_id *id)
{
	const uint64_t sum = sum_of(id);

	if (sum)
		atomic_store_explicit(place_of(sum), sum, memory_order_relaxed);
}
