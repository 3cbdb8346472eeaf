/* SPDX-License-Identifier: MIT */
/*
 * crowd.h - the sockets on a port, those that are alike told of together. Pure.
 */
#ifndef CLI_CROWD_H
#define CLI_CROWD_H

#include "table.h"
#include "why/port.h"

enum { NOBODY = UINT32_MAX }; /* whose owner no process is, or none that is seen */

/* What makes sockets alike; each byte counts. */
struct alike {
	uint32_t port;
	uint32_t owner;	 /* the first of them: index in openings, or NOBODY */
	uint32_t owners; /* how many processes have it */
	uint32_t uid;	 /* where no owner is seen, else 0 */
	uint8_t state;	 /* enum tcp_state_id */
	uint8_t open;	 /* some process has it */
	uint8_t outgoing;
	uint8_t unclosed; /* in CLOSE_WAIT for a second or more */
	uint8_t accepted; /* somebody listens on the port */
	uint8_t unused[3];
	uint64_t address; /* of what listens: of its local address a sum */
};

struct group {
	struct alike alike;
	uint32_t count, without_end;
	uint32_t longest_ms; /* of the time left */
	uint32_t silent_ms;  /* the longest */
	struct diag_sock one;
};

/* In the order in which they are shown: listeners, then what is alive, then what goes. */
struct crowd {
	struct table table;
	struct group **shown;
	size_t count;
};

/* The kernel's range of ports tells outgoing connections. False where there is no memory. */
bool crowd_of(struct crowd *ret, const struct port *port, uint16_t first, uint16_t last);

void crowd_end(struct crowd *crowd);

#endif
