/* SPDX-License-Identifier: MIT */
/*
 * places.c - see places.h.
 */
#include "events/places.h"

#include <stdlib.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/sum.h"

bool places_ready(bool anew)
{
	static void *frames, *callsites;

	if (!frames) {
		frames = calloc(1, frames_size());
		callsites = calloc(1, callsites_size());
		if (!frames || !callsites)
			return false;
		frames_init(frames);
		callsites_init(callsites);
	} else if (anew) {
		memset(frames, 0, frames_size());
		memset(callsites, 0, callsites_size());
	}
	return true;
}

/* What stands for it in the stead of its address in a process that has gone. */
static uint64_t address_of(const struct place_name *name)
{
	uint64_t words[2 + (FRAME_MODULE_MAX + FRAME_SYMBOL_MAX) / sizeof(uint64_t)] = {
		name->offset, name->symbol_offset};
	char *names = (char *)(words + 2);

	memcpy(names, name->module, name->module_len);
	memcpy(names + name->module_len, name->symbol, name->symbol_len);
	return sum_words(SUM_BEGIN + name->module_len, words, sizeof(words) / sizeof(words[0]));
}

bool places_enter(const struct place_name *name, uint64_t *ret)
{
	const uint64_t address = address_of(name);
	struct frame *frame = frames_find(address);

	if (!frame) {
		frame = frames_claim(address);
		if (!frame)
			return false;
		memcpy(frame->module, name->module, name->module_len);
		memcpy(frame->symbol, name->symbol, name->symbol_len);
		frame->offset = name->offset;
		frame->symbol_offset = name->symbol_offset;
		frames_enter(frame, address);
	}
	*ret = frames_number(frame);
	return true;
}
