/* SPDX-License-Identifier: MIT */
/*
 * decimal.h - a whole number in digits, as C and JSON write it.
 */
#ifndef CLI_DECIMAL_H
#define CLI_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All of so many bytes, without sign or zeros in front. False where it is none, or above most. */
static inline bool decimal_of(const char *digits, size_t len, uint64_t most, uint64_t *ret)
{
	uint64_t number = 0;

	if (!len || (*digits == '0' && len != 1))
		return false;
	for (size_t i = 0; i < len; i++)
		if (digits[i] < '0' || digits[i] > '9' ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digits[i] - '0', &number))
			return false;
	if (number > most)
		return false;
	*ret = number;
	return true;
}

/* The same of a text that 0 ends. */
static inline bool decimal(const char *text, uint64_t most, uint64_t *ret)
{
	return decimal_of(text, strlen(text), most, ret);
}

#endif
