/* SPDX-License-Identifier: MIT */
/*
 * settings.h - what the user set, as values. Parsing is pure: reading the
 * environment and complaining is boot's.
 */
#ifndef FACTS_SETTINGS_H
#define FACTS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts/out.h"

enum log_kind {
#define SINK(kind, word) LOG_##kind,
#define SINK_AT(kind, prefix) LOG_##kind,
#include "reuse/sinks.def"
	LOG_KINDS
};
/* How TCPSHIM_LOG says it: the word, or what stands before the path. */
extern const char *const log_words[LOG_KINDS];
enum log_format { FORMAT_TEXT, FORMAT_JSON };
enum reuse_mode { REUSE_AUTO, REUSE_FORCE, REUSE_GENTLE, REUSE_OFF };
/* As the variable spells them; NULL ends them. */
extern const char *const reuse_words[];
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct settings {
	enum log_kind log;
	const char *log_path; /* from LOG_FILE on: points into the text that was parsed */
	size_t log_path_len;
	uint64_t ring_size; /* LOG_RING: bytes, of a ring that is made anew */
	enum log_format format;
	enum reuse_mode reuse;
	enum color_mode color;
	bool reuseport;
	bool report;
	uint8_t wait_seconds;
	uint32_t calls;	  /* set of enum call_id */
	const char *only; /* lists of names, or NULL; point into the text that was parsed */
	const char *skip;
	unsigned int stack; /* caller frames with every event */
	bool some_ports;    /* false: all ports are touched */
	uint64_t ports[65536 / 64];
};

/* All at their defaults. */
void settings_init(struct settings *set);

/* The same for one that is all zero, as static memory begins: its pages are not touched. */
void settings_init_zeroed(struct settings *set);

struct setting {
	const char *variable;
	const char *accepted;  /* in words */
	const char *otherwise; /* the default in words */
	/* True where text was understood; set is unchanged where not. */
	bool (*parse)(struct settings *set, const char *text);
};

extern const struct setting settings_table[];
extern const unsigned int settings_count;

static inline bool settings_port(const struct settings *set, uint16_t port)
{
	return !set->some_ports || (set->ports[port / 64] >> port % 64 & 1);
}

/* "NAME=VALUE is not understood", what was probably meant, and what is accepted. */
void settings_refuse(struct out *out, const char *name, const struct setting *setting,
		     const char *value);

/* Does the shim act in a program of that name? */
bool settings_act_in(const struct settings *set, const char *prog);

/* Is name, cut to 15 bytes as the kernel cuts it, in the list (also cut)? */
bool settings_list_has(const char *list, const char *name);

#endif
