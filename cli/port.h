/*
 * port.h - the TCP sockets on a port, by sock_diag, and which processes have them open.
 */
#ifndef CLI_PORT_H
#define CLI_PORT_H

#include "observe/diag_parse.h"
#include "owners.h"

struct port_sock {
	struct diag_sock sock;
	struct owners *owners; /* NULL: no process has it open */
};

struct port {
	uint16_t number;
	struct port_sock *socks; /* listeners, then what is alive, then what goes, longest first */
	size_t count, room;
	struct owners *owners;
	size_t owner_count;
	enum sight sight;
};

/*
 * Who is on the port with that number? All else in *port is zero before. Return 0 or -errno;
 * free it in any case. Sockets that are bound and do not listen: from Linux 6.8 on.
 */
int port_look(struct port *port);

void port_free(struct port *port);

#endif
