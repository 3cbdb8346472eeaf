/*
 * clock_time.c - from nanoseconds since 1970 to a date, in UTC: localtime would
 * read files, take locks and allocate.
 */
#include "log/render.h"

#include <stdatomic.h>

struct date {
	uint16_t year;
	uint8_t month, day;
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
		.year = (uint16_t)(era * 400 + year + (month >= 10)),
		.month = (uint8_t)(month < 10 ? month + 3 : month - 9),
		.day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1),
	};
}

/* Today's date, with its day, in one word that threads and handlers read and write whole. */
static _Atomic(uint64_t) today;

static struct date date_of_today(uint32_t day)
{
	uint64_t word = atomic_load_explicit(&today, memory_order_relaxed);
	struct date date = {(uint16_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};

	if (word >> 32 == day)
		return date;
	date = date_of(day);
	word = (uint64_t)day << 32 | (uint64_t)date.year << 16 | (uint64_t)date.month << 8 |
	       date.day;
	atomic_store_explicit(&today, word, memory_order_relaxed);
	return date;
}

struct clock_time clock_time_of(uint64_t time_ns)
{
	const uint64_t seconds = time_ns / 1000000000u;
	const uint32_t of_day = (uint32_t)(seconds % 86400);
	const uint32_t day = (uint32_t)(seconds / 86400);
	const struct date date = day ? date_of_today(day) : date_of(day);

	return (struct clock_time){
		.year = date.year,
		.month = date.month,
		.day = date.day,
		.hour = of_day / 3600,
		.minute = of_day / 60 % 60,
		.second = of_day % 60,
		.microsecond = (uint32_t)(time_ns / 1000 % 1000000),
	};
}

void out_time_of_day(struct out *out, const struct clock_time *time)
{
	char text[] = "hh:mm:ss.uuuuuu";

	put_two(text, time->hour);
	put_two(text + 3, time->minute);
	put_two(text + 6, time->second);
	put_two(text + 9, time->microsecond / 10000);
	put_two(text + 11, time->microsecond / 100 % 100);
	put_two(text + 13, time->microsecond % 100);
	out_mem(out, text, sizeof(text) - 1);
}

void out_date(struct out *out, const struct clock_time *time)
{
	char text[] = "yyyy-mm-dd";

	put_two(text, time->year / 100);
	put_two(text + 2, time->year % 100);
	put_two(text + 5, time->month);
	put_two(text + 8, time->day);
	out_mem(out, text, sizeof(text) - 1);
}
