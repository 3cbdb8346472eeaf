/* SPDX-License-Identifier: MIT */
/*
 * diagram.h - the state diagram of RFC 9293 (figure 5) as a picture in SVG, with the ways that
 * sockets have taken. Nothing of the input but numbers gets into it.
 */
#ifndef CLI_DIAGRAM_H
#define CLI_DIAGRAM_H

#include <stdio.h>

#include "facts/out.h"
#include "reuse/event.h"

/* How often each way was taken; and of those that a call takes, by which. */
struct ways {
	uint64_t of[STATE_COUNT][STATE_COUNT];
	uint64_t by[STATE_COUNT][STATE_COUNT][CALL_COUNT];
};

void diagram_write(FILE *out, const struct ways *ways);

/* The same in words; and one of its ways: "ESTABLISHED -> FIN_WAIT_1: 12 (close 11, shutdown 1)".
 */
void diagram_say(struct out *out, const struct ways *ways);
void diagram_say_way(struct out *out, const struct ways *ways, uint8_t from, uint8_t to);

/* The RFC's figure has it, or its note 3. */
bool diagram_has(uint8_t from, uint8_t to);

#endif
