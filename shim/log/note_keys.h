/* SPDX-License-Identifier: MIT */
/*
 * note_keys.h - the figures of a note as keys of JSON, by notes.def.
 */
#ifndef LOG_NOTE_KEYS_H
#define LOG_NOTE_KEYS_H

#include "facts/out.h"
#include "reuse/event.h"

/* How a key's value is shown: the third column of SHOWS. */
enum shown {
	SHOWN_NUMBER,
	SHOWN_SIGNED,
	SHOWN_COUNT, /* a number, where it is not 0 */
	SHOWN_FLAG,  /* where it is true */
	SHOWN_MS_OF_NS,
	SHOWN_ADDRESS, /* where it is known */
	SHOWN_PEER,    /* where there is one */
	SHOWN_TRIED,   /* of an attempt: unless it was to another peer than the event's */
	SHOWN_CALL,
	SHOWN_STATE,
	SHOWN_ONLY_STATE, /* of a set: where all have the same */
	SHOWN_PLACE,	  /* the nearest of a stack, as an entry of "stack" */
	SHOWN_MODE,	  /* the word of TCPSHIM_REUSE */
	SHOWN_OPTIONS,
	SHOWN_RESET_CAUSE,
	SHOWN_REFUSED_BY,  /* where it is known */
	SHOWN_DYING_CAUSE, /* where it is known */
	SHOWN_OWNER,	   /* of struct holders: pid and prog, else inode and uid */
	SHOWN_INCOMPLETE,  /* of struct holders: where time ran out */
	SHOWN_OWN_FD,	   /* of struct holders: where this process has it open */
	SHOWN_TO_ITSELF,   /* of struct holders: a connection whose peer it is itself */
};

/* The words of what has some, by its number; an empty one: the key is left out. */
typedef char note_word[12];

enum {
	RESET_CAUSES = RESET_LINGER2 + 1,
	DYING_CAUSES = CAUSE_NO_SHIM + 1,
	REFUSED_WAYS = REFUSED_OR_LATE + 1,
};

extern const note_word reset_cause_words[RESET_CAUSES];
extern const note_word dying_cause_words[DYING_CAUSES];
extern const note_word refused_by_words[REFUSED_WAYS];

/* Those that have something to say, each with a comma before it. */
void out_note_keys(struct out *out, enum note_id note, const struct event *ev);

#endif
