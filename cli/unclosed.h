/*
 * unclosed.h - connections that a program has open though their peers have closed.
 */
#ifndef CLI_UNCLOSED_H
#define CLI_UNCLOSED_H

#include "port.h"

/*
 * A line for each program that has such connections on the port, for a second or more: how many,
 * and how long ago at least the first of the peers closed.
 */
void unclosed_print(const struct port *port);

#endif
