/* SPDX-License-Identifier: MIT */
/*
 * gate.h - tcpshim run --fail-on: the parts of it.
 */
#ifndef CLI_GATE_H
#define CLI_GATE_H

#include <limits.h>
#include <sys/types.h>

#include "events/drain.h"
#include "gate/findings.h"
#include "gate/job.h"
#include "gate/marks.h"
#include "gate/modules.h"
#include "gate/suppressions.h"
#include "gate/tree.h"
#include "written.h"

/* A place as it is told, and by what a suppression may name it. */
struct gate_place {
	bool looked_up;
	char file[PATH_MAX]; /* empty: not known */
	int line;
	char at[PATH_MAX + 16]; /* "file:line", else as raw */
	char raw[256];		/* "module+0xoffset" */
	const struct code_place *place;
};

struct gate {
	const struct gate_options *options;
	char folder[256], path[280], marks_path[280]; /* the recorder's, and its own */
	struct job job;
	struct drain drain;
	struct findings findings;
	struct modules modules;
	struct suppressions suppressions;
	struct marks marks;
	struct tree tree;
	struct written junit;	   /* as it was before anything ran */
	struct gate_place *places; /* as many as findings has, each looked up when it is told */
	struct finding **rows;	   /* the most frequent first */
	size_t row_count;
	int64_t sample_ns; /* when the kernel is to be asked again */
	int64_t forget_ns; /* when what is gone may be forgotten again */
	int drain_error;   /* errno: the recorder could not be read */
	int diag_error;	   /* sock_diag could not be asked */
	bool no_places;	   /* libunwind is not there */
};

/*
 * Run what become does, in a child, and judge it. The environment is the command's already, but
 * for what a gate needs. Return the exit status.
 */
int gate_run(const struct gate_options *options, const char *program, int (*become)(void *with),
	     void *with);

/* NULL where it is not known. */
const struct gate_place *gate_place(struct gate *gate, uint32_t place);

/* Does the finding make the run fail? */
bool gate_fails(const struct gate *gate, const struct finding *finding);

/* What one line says of a finding behind its code, and how many there are that fail. */
void out_gate_finding(struct out *out, struct gate *gate, const struct finding *finding);
void out_codes(struct out *out, const struct gate_options *options);
uint64_t gate_failures(const struct gate *gate, enum gate_code code);

/* On standard error. */
void gate_text(struct gate *gate);
void gate_annotate(struct gate *gate);

/* False: it could not be written, and why has been told. The file may be made anew meanwhile. */
bool gate_junit(struct gate *gate);

#endif
