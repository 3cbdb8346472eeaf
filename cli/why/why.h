/* SPDX-License-Identifier: MIT */
/*
 * why.h - what tcpshim why has found out, and the ways in which it is told.
 */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "facts/out.h"
#include "why/crowd.h"
#include "why/destroy.h"
#include "why/option.h"
#include "why/process.h"
#include "why/verdict.h"
#include "why/where.h"

/* Who are told of: on a screen, and else. */
enum { WHY_FEW = 16, WHY_MANY = 1024 };

struct answer {
	struct endpoint at;
	struct verdict verdict;
	bool for_both; /* it is the same for [::] as for 0.0.0.0 */
};

/* The first line, where it was printed. */
struct said {
	bool any, for_both;
	int without, with;
};

struct why {
	struct port port;
	struct answer answers[WHERE_MOST];
	unsigned int answer_count;
	struct crowd crowd;
	struct options *options;   /* of the one that stands for each group shown */
	struct process *processes; /* who has something open, in the order of the groups */
	uint32_t *owner_of;	   /* of each process: its index in the openings */
	unsigned int process_count;
	unsigned int most_processes; /* WHY_FEW or WHY_MANY */
	size_t unlisted;	     /* processes beyond them */
	int lines;		     /* of the screen, that are printed already */
	struct said said;
	/* With --kill-dying: how many, by state and by what became of them. */
	bool killed;
	int kill_error; /* of the last that could not be ended, errno */
	uint32_t fates[FATE_COUNT][STATE_COUNT];
	uint16_t first_port, last_port; /* what the kernel chooses from; 0: not known */
};

/*
 * The sockets on the port, and the verdicts; NULL: what listens on any port, and what goes. Return
 * 0 or -errno; end it in any case.
 */
int why_ask(struct why *why, const struct where *where);

/*
 * Before that, as it is done at once whatever connections there are: is the first verdict known
 * already, by who listens?
 */
bool why_ask_listeners(struct why *why, const struct where *where);

/* Then who has them open. Return 0 or -errno. */
int why_find_owners(struct why *why);

/*
 * End what is in the way of one of the answers and has nobody any more (destroy_judge), and count
 * what became of each that is in the way. Then ask again.
 */
void why_kill_dying(struct why *why);

/* Would a bind with SO_REUSEADDR work at each of the addresses? */
bool why_works(const struct why *why);

void why_end(struct why *why);

/*
 * What was ended, and the first line of the first answer, which needs no owners. Where it was said
 * already, it is said again only if it is no longer so.
 */
void why_print_first(struct why *why);

/* All that follows, at most a screen. */
void why_print_rest(const struct why *why);

/* Of all ports: who listens, and which ports are held by what goes, a line each. */
void why_print_list(const struct why *why);

/* Parts of lines: "sshd[812], sshd[813] and 3 more", "for 43 s more at most", "unit ssh.service".
 */
void why_out_owners(struct out *out, const struct port *port, const struct group *group);
void why_out_time_left(struct out *out, const struct group *group);
void why_out_place(struct out *out, const struct cgroup *cgroup);

/* All of it as one object of JSON. */
void why_print_json(const struct why *why);

#endif
