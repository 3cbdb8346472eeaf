/*
 * decimal.h - a whole number in digits, as C and JSON write it.
 */
#ifndef CLI_DECIMAL_H
#define CLI_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* All of the text, without sign or zeros in front. False where it is none, or above most. */
static inline bool decimal(const char *text, uint64_t most, uint64_t *ret)
{
	const char *at = text;
	uint64_t number = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		const uint64_t digit = (uint64_t)(*at - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	if (at == text || *at || (*text == '0' && at != text + 1) || number > most)
		return false;
	*ret = number;
	return true;
}

#endif
