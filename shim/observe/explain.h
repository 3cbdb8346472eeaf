/* SPDX-License-Identifier: MIT */
/*
 * explain.h - why did bind, listen or connect fail, or with whom is the port shared? Asks the
 * kernel who has the port, and puts the note with its figures into the event.
 */
#ifndef OBSERVE_EXPLAIN_H
#define OBSERVE_EXPLAIN_H

#include "observe/conflict.h"
#include "reuse/event.h"

/*
 * After a failed bind to that address, a failed listen of a socket bound there, or
 * a failed connect (ev->sock: its own local address, which has no port where it was
 * not bound, and the peer asked for). Says nothing where the answer is not plain, on a signal's
 * alternate stack, or where the socket's namespace is another one than ours.
 */
void explain_bind(struct event *ev, int handle, const struct endpoint *asked);
void explain_listen(struct event *ev, int handle, const struct endpoint *local);
void explain_connect(struct event *ev, int handle);

/* After a bind or listen that worked: which listeners has it joined by SO_REUSEPORT? */
void explain_shared(struct event *ev, int handle);

/* Who asks for an address: a socket as the rule sees it, and where it is. */
struct asker {
	struct conflict_sock sock;
	uint64_t cookie, netns; /* netns 0: wherever we are */
};

/* That socket, on that address, to listen or to be bound. */
void explain_asker(int handle, const struct endpoint *asked, bool listens, struct asker *ret);

/* Who is in its way? Return false where that can't be asked. No owner is looked for. */
bool explain_holders(const struct asker *asks, struct holders *ret);

/*
 * How long until another try makes sense, at most left_ms; 0 where waiting would not help. Dying
 * connections (*ret) tell how long they stay, but may go earlier.
 */
uint32_t explain_nap_ms(const struct asker *asks, uint32_t left_ms, struct holders *ret);

#endif
