/* SPDX-License-Identifier: MIT */
/*
 * sock_ref.h - a socket has a number in the program, which the event and the notes speak of, and a
 * handle with us, which the kernel is asked by. They are one in the library; a supervisor's handle
 * is a copy of the program's descriptor (pidfd_getfd).
 */
#ifndef OBSERVE_SOCK_REF_H
#define OBSERVE_SOCK_REF_H

/* The handle first: in a register that holds both it is at hand. */
struct sock_ref {
	int handle, number;
};

/* What is closed has none any more. */
enum { NO_HANDLE = -1 };

static inline struct sock_ref sock_here(int fd)
{
	return (struct sock_ref){.number = fd, .handle = fd};
}

#endif
