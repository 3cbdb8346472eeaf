/*
 * clock_time.c - from nanoseconds since 1970 to a date, in UTC: localtime would
 * read files, take locks and allocate.
 */
#include "log/render.h"

struct clock_time clock_time_of(uint64_t time_ns)
{
	const uint64_t seconds = time_ns / 1000000000u;
	const uint32_t of_day = (uint32_t)(seconds % 86400);

	/*
	 * Days are counted from 1 March of year 0, so that the leap day comes last
	 * and 400 years are one period of 146097 days.
	 */
	const uint32_t days = (uint32_t)(seconds / 86400) + 719468;
	const uint32_t era = days / 146097, of_era = days % 146097;
	const uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	const uint32_t month = (5 * of_year + 2) / 153; /* 0: March */

	return (struct clock_time){
		.year = era * 400 + year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
		.hour = of_day / 3600,
		.minute = of_day / 60 % 60,
		.second = of_day % 60,
		.microsecond = (uint32_t)(time_ns / 1000 % 1000000),
	};
}

void out_time_of_day(struct out *out, const struct clock_time *time)
{
	out_padded(out, time->hour, 2);
	out_char(out, ':');
	out_padded(out, time->minute, 2);
	out_char(out, ':');
	out_padded(out, time->second, 2);
	out_char(out, '.');
	out_padded(out, time->microsecond, 6);
}
