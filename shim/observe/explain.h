/*
 * explain.h - why did bind, listen or connect fail, or with whom is the port shared? Asks the
 * kernel who has the port, and puts the note with its figures into the event.
 */
#ifndef OBSERVE_EXPLAIN_H
#define OBSERVE_EXPLAIN_H

#include "reuse/event.h"

/*
 * After a failed bind to that address, a failed listen of a socket bound there, or
 * a failed connect (ev->sock: its own local address, which has no port where it was
 * not bound, and the peer asked for). Says nothing where the answer is not plain, on a signal's
 * alternate stack, or where the socket's namespace is another one than ours.
 */
void explain_bind(struct event *ev, const struct endpoint *asked);
void explain_listen(struct event *ev, const struct endpoint *local);
void explain_connect(struct event *ev);

/* After a bind or listen that worked: which listeners has it joined by SO_REUSEPORT? */
void explain_shared(struct event *ev);

/*
 * Who is in the way of that socket on that address? Return false where it can't be
 * asked. The owner is looked for only with find_owner.
 */
bool explain_holders(int fd, const struct endpoint *asked, bool listens, bool find_owner,
		     struct holders *ret);

#endif
