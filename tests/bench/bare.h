/* SPDX-License-Identifier: MIT */
/*
 * bare.h - the calls that are measured, as libc's functions or with all that a log of
 * them cannot do without.
 *
 * WORK_BARE=json:FILE or recorder:FILE makes these functions do, beside the program's
 * call, the system calls that the contract makes necessary for the event (the questions
 * to the kernel, and one write), with nothing between them: no text is made, nothing is
 * kept. That is the limit which a shim in user space can come near and not pass.
 *
 * Without WORK_BARE they are libc's functions, called by name, so that a preloaded
 * library has them.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <sys/socket.h>

/* Read WORK_BARE and open what it names. */
void bare_begin(void);

int do_socket(int domain, int type);
int do_bind(int fd, const struct sockaddr *addr, socklen_t len);
int do_listen(int fd, int backlog);
int do_accept(int fd);
int do_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int do_dup(int fd);
int do_close(int fd);

#endif
