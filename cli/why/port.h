/* SPDX-License-Identifier: MIT */
/*
 * port.h - the TCP sockets on a port, by sock_diag, and which processes have them open.
 */
#ifndef CLI_PORT_H
#define CLI_PORT_H

#include "observe/diag_parse.h"
#include "why/owners.h"

struct port {
	uint16_t number; /* 0: of all ports, what listens or goes */
	struct diag_sock *socks;
	size_t count, room;
	struct owners *owners; /* in the order of their inodes */
	size_t owner_count;
	struct openings openings;
};

/*
 * Who is on the port with that number? All else in *port is zero before. Return 0 or -errno;
 * free it in any case. Sockets that are bound and do not listen: from Linux 6.8 on.
 */
int port_look(struct port *port);

/* The same of its listeners alone, for which the kernel need not walk over all connections. */
int port_look_for_listeners(struct port *port);

/* And which processes have them open? Return 0 or -errno. */
int port_find_owners(struct port *port);

/* Of a socket; NULL where it has no inode, so that no process has it. */
const struct owners *port_owners(const struct port *port, uint32_t inode);

void port_free(struct port *port);

#endif
