/* SPDX-License-Identifier: MIT */
/*
 * description.c - see description.h. Made by the compiler: nothing is put together, nor
 * relocated, where a program starts.
 */
#include "facts/description.h"

#include <stddef.h>

#include "facts/sum.h"
#include "reuse/event.h"
#include "reuse/ring.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* An entry is as long as its name. */
#define MEMBER_ENTRY(path)                                                                         \
	struct {                                                                                   \
		uint16_t at;                                                                       \
		uint8_t size;                                                                      \
		char name[sizeof(path)];                                                           \
	} __attribute__((packed)) JOIN(entry_, __COUNTER__);
#define NAME_ENTRY(name) char JOIN(entry_, __COUNTER__)[sizeof(name)];

struct rows {
#define MEMBER(part, path, kind) MEMBER_ENTRY(#path)
#include "reuse/members.def"
	MEMBER_ENTRY("")
#define CALL(name, args, more) NAME_ENTRY(#name)
#include "reuse/calls.def"
#define CARRIER(name) NAME_ENTRY(#name)
#define MOMENT(name, args, more) NAME_ENTRY(#name)
#include "reuse/calls.def"
	NAME_ENTRY("")
#define NOTE(id, code, holds) NAME_ENTRY(code)
#include "reuse/notes.def"
	NAME_ENTRY("")
#define STATE(name, linux_name) NAME_ENTRY(#name)
#include "reuse/states.def"
	NAME_ENTRY("")
} __attribute__((packed));
_Static_assert(sizeof(struct rows) <= RING_DESCRIPTION, "it fits the head of the file");

static const union {
	struct rows rows;
	uint64_t words[RING_DESCRIPTION / sizeof(uint64_t)];
} described = {{
#define MEMBER(part, path, kind)                                                                   \
	{offsetof(struct event, path), sizeof(((struct event *)0)->path), #path},
#include "reuse/members.def"
	{0, 0, ""},
#define CALL(name, args, more) #name,
#include "reuse/calls.def"
#define CARRIER(name) #name,
#define MOMENT(name, args, more) #name,
#include "reuse/calls.def"
	"",
#define NOTE(id, code, holds) code,
#include "reuse/notes.def"
	"",
#define STATE(name, linux_name) #name,
#include "reuse/states.def"
	"",
}};

const uint64_t *ring_description(void)
{
	return described.words;
}

uint64_t ring_description_sum(const uint64_t *words)
{
	return sum_words(SUM_BEGIN, words, RING_DESCRIPTION / sizeof(*words));
}
