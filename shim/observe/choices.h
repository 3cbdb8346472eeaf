/* SPDX-License-Identifier: MIT */
/*
 * choices.h - what a program said about a socket that the kernel does not keep:
 * that SO_REUSEADDR shall be off (off is also how every socket begins).
 *
 * By the socket's cookie, so that it holds through every descriptor and in forked
 * children. A table of fixed size; the newest displaces the oldest of its place.
 */
#ifndef OBSERVE_CHOICES_H
#define OBSERVE_CHOICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	CHOSE_REUSEADDR_OFF = 1,
	CHOSE_REUSEPORT_OFF = 2,
	CHOSE_BOUND = 4, /* gentle: bound to a port that the settings cover */
};

extern _Atomic(bool) choices_any;

/* Has any socket a choice? Few programs make one. */
static inline bool choices_exist(void)
{
	return atomic_load_explicit(&choices_any, memory_order_relaxed);
}

/* Has the program turned SO_REUSEPORT on, on any socket? */
extern _Atomic(bool) choices_reuseport;

/* The choices of that socket. No system call where no socket has any. */
uint8_t choices_of(int handle);

/* Add and take away choices. Nothing happens in a vfork child. */
void choices_change(int handle, uint8_t add, uint8_t take_away);

#endif
