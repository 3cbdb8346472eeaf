/* SPDX-License-Identifier: MIT */
/*
 * fetch.h - descriptors and memory of the thread that is stopped. What is fetched is given back
 * before it goes on: a copy that outlived the program would keep its sockets open.
 */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include <stdint.h>
#include <sys/socket.h>

#include "observe/sock_ref.h"
#include "observe/subject.h"
#include "supervise/family.h"

/* The thread that is asked about from now on. */
void fetch_from(struct task *task);

/*
 * A copy of that number of its, or -EBADF where it is not open there, and -errno where it can't be
 * had. What is no socket is not copied, since it could notice; then it is something else that is
 * none. It is given back by fetch_give_back, with all others.
 */
int fetch_number(int number);

/* The same without a look whether it is a socket: of what a call has just made, or of stderr. */
int fetch_made(int number);

void fetch_give_back(void);

static inline struct sock_ref fetch_ref(int number)
{
	return (struct sock_ref){.number = number, .handle = fetch_number(number)};
}

/* The same for the observers, who let go what they have asked for; and memory. */
int fetch_for(const struct subject *subject, int number);
int fetch_peek(const struct subject *subject, void *ret, const void *from, size_t len);

/* Bytes from its memory: 0, or -EFAULT. */
int fetch_memory(void *ret, uint64_t from, size_t len);

/* An address that it gives to the kernel, and one that the kernel gave to it (0: it asked for none)
 */
struct endpoint fetch_address(uint64_t addr, uint64_t len);
struct endpoint fetch_written_address(uint64_t addr, uint64_t len_at);

#endif
