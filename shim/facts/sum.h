/* SPDX-License-Identifier: MIT */
/*
 * sum.h - a checksum that tells whether words belong together: Fowler, Noll and
 * Vo's hash over words instead of bytes; every bit of each changes it.
 */
#ifndef FACTS_SUM_H
#define FACTS_SUM_H

#include <stddef.h>
#include <stdint.h>

#define SUM_BEGIN UINT64_C(14695981039346656037)

static inline uint64_t sum_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(1099511628211);
	return sum ^ sum >> 32;
}

static inline uint64_t sum_words(uint64_t sum, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = sum_word(sum, words[i]);
	return sum;
}

#endif
