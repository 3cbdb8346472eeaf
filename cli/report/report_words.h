/* SPDX-License-Identifier: MIT */
/*
 * report_words.h - what the rows of tcpshim report say, in words: the same on a terminal and on a
 * page. What others have given is printable in it, and no more than that.
 */
#ifndef CLI_REPORT_WORDS_H
#define CLI_REPORT_WORDS_H

#include "facts/out.h"
#include "report/report.h"

/* "1,204" */
void out_count(struct out *out, uint64_t count);

/* In a unit of which there are some, with a tenth where there are few. */
void out_span(struct out *out, uint64_t ns);

/* From the first to the last, of which the day is told where it is another. */
void out_times(struct out *out, uint64_t first_ns, uint64_t last_ns);

/* A program, and where there are more than one, its host. */
void out_name(struct out *out, const struct report *report, const char prog[16], uint64_t host);

/* An address without a port is a host. */
void out_where(struct out *out, const struct endpoint *at);

void out_error(struct out *out, int error);

/* Of all that was read: how much, of how many, from when to when. */
void out_extent(struct out *out, const struct tally *tally);

/* Rows; their counts are the caller's to show. */
void out_finding(struct out *out, const struct report *report, const struct found_row *row);
void out_called(struct out *out, const struct call_row *row);
void out_path(struct out *out, const struct path_row *row);
void out_stay(struct out *out, int state, const struct stays *stays);
void out_rate(struct out *out, const struct tally *tally, const struct rate *rate,
	      const char *name);
void out_listener(struct out *out, const struct report *report, const struct listener_row *row);
void out_joined(struct out *out, const struct tally *tally);

/* The first, second, ... thing that is not told whole, where it is not. False: there are no more.
 */
bool out_left_out(struct out *out, const struct report *report, unsigned int which);

#endif
