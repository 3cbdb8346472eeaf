/* SPDX-License-Identifier: MIT */
/*
 * clock_time.c - from nanoseconds since 1970 to a date, in UTC: localtime would
 * read files, take locks and allocate.
 */
#include "log/render.h"

#include <stdatomic.h>

struct date {
	uint32_t year, month, day;
};

/* Days from 1970 on to year, month and day of the month. */
static struct date date_of(uint32_t day)
{
	/*
	 * Days are counted from 1 March of year 0, so that the leap day comes last
	 * and 400 years are one period of 146097 days.
	 */
	const uint32_t days = day + 719468;
	const uint32_t era = days / 146097, of_era = days % 146097;
	const uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	const uint32_t month = (5 * of_year + 2) / 153; /* 0: March */

	return (struct date){
		.year = era * 400 + year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
	};
}

enum { DATE = 11, TIME_OF_DAY = 15, SECOND = DATE + 9 }; /* lengths; SECOND: up to the point */

static void put_second(char *text, uint64_t seconds)
{
	const struct date date = date_of((uint32_t)(seconds / 86400));
	const uint32_t of_day = (uint32_t)(seconds % 86400);

	memcpy(text, "yyyy-mm-ddThh:mm:ss.", SECOND);
	put_two(text, date.year / 100);
	put_two(text + 2, date.year % 100);
	put_two(text + 5, date.month);
	put_two(text + 8, date.day);
	put_two(text + 11, of_day / 3600);
	put_two(text + 14, of_day / 60 % 60);
	put_two(text + 17, of_day % 60);
}

/*
 * The text of the second that a thread's last event was in: most often the next one
 * is too. A signal handler that comes in between may have another second; then the
 * two numbers, written before and after the text, are not the same.
 */
static __thread struct {
	uint64_t before; /* the second and one: 0 is none */
	char text[SECOND];
	uint64_t after;
} kept;

static bool put_kept(char *text, uint64_t number)
{
	if (kept.before != number)
		return false;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(text, kept.text, SECOND);
	atomic_signal_fence(memory_order_seq_cst);
	return kept.after == number;
}

static void keep(const char *text, uint64_t number)
{
	kept.before = number;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(kept.text, text, SECOND);
	atomic_signal_fence(memory_order_seq_cst);
	kept.after = number;
}

static void put_time(char *text, uint64_t time_ns)
{
	const uint64_t seconds = time_ns / 1000000000u;
	const uint32_t microsecond = (uint32_t)(time_ns - seconds * 1000000000u) / 1000;

	if (!put_kept(text, seconds + 1)) {
		put_second(text, seconds);
		keep(text, seconds + 1);
	}
	put_two(text + SECOND, microsecond / 10000);
	put_two(text + SECOND + 2, microsecond / 100 % 100);
	put_two(text + SECOND + 4, microsecond % 100);
}

void out_time(struct out *out, uint64_t time_ns)
{
	char text[DATE + TIME_OF_DAY];

	put_time(text, time_ns);
	out_mem(out, text, sizeof(text));
}

void out_time_of_day(struct out *out, uint64_t time_ns)
{
	char text[DATE + TIME_OF_DAY];

	put_time(text, time_ns);
	out_mem(out, text + DATE, TIME_OF_DAY);
}
