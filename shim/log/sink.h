/* SPDX-License-Identifier: MIT */
/*
 * sink.h - where the lines go: bytes to a descriptor of ours, without waiting for
 * anybody, without a signal, and never into a descriptor that is not ours any more.
 */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr_un;

/* A sink on fd, which is taken over (closed where it fails). Return 0 or -errno. */
int sink_open_fd(int fd);

/*
 * A datagram socket to that address; again: connect anew when its reader was
 * replaced. Return 0, or -errno where nobody is there.
 */
int sink_open_unix(const struct sockaddr_un *addr, unsigned int len, bool again);

bool sink_is_terminal(void);

/* May a write last as long as somebody likes (Ctrl-S)? */
bool sink_may_wait(void);

/* How many columns the terminal has now; 0 where it is none, or does not say. */
uint16_t sink_width(void);

/* Write to any descriptor as to a sink, but for the check that it is ours. */
void sink_write_once(int fd, const char *text, size_t len);

/* Write one line. False where it could not be written, whole and at once. */
bool sink_write(const char *line, size_t len);

/*
 * Wait until there may be room for a line, no longer than that. False where there is none then,
 * and where only somebody else's doing could make room: in a file, or without a reader.
 */
bool sink_await_room(uint64_t most_ns);

#endif
