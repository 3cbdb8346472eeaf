/* SPDX-License-Identifier: MIT */
/*
 * surprises.c - see surprises.h.
 */
#include "observe/surprises.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "observe/attempt.h"
#include "observe/closing.h"
#include "observe/migrate.h"
#include "observe/tcp_state.h"
#include "observe/view.h"

static void note_peer_reset(struct event *ev, uint8_t retransmits)
{
	ev->notes |= NOTE_BIT(NOTE_PEER_RESET);
	ev->figures.retransmits = retransmits;
}

static void note_queue_reset(struct event *ev, uint32_t connections)
{
	ev->notes |= NOTE_BIT(NOTE_QUEUE_RESET);
	ev->figures.queued = connections;
}

static void note_reset(struct event *ev, const struct closing *closing, enum reset_cause cause)
{
	ev->notes |= NOTE_BIT(NOTE_RESET);
	ev->figures.reset_cause = (uint8_t)cause;
	ev->figures.unread = closing->unread;
	ev->figures.after_fin = closing->after_fin;
}

/* Of a socket that is gone: in the order in which the kernel decides (tcp_close). */
static void tell_what_ended_it(struct event *ev, const struct closing *closing)
{
	if (closing->unread)
		note_reset(ev, closing, RESET_UNREAD);
	else if (closing->lingers_zero)
		note_reset(ev, closing, RESET_LINGER);
	else if (closing->keeps_no_fin_wait)
		note_reset(ev, closing, RESET_LINGER2);
	if (closing->was_reset)
		note_peer_reset(ev, closing->retransmits);
}

/*
 * Of a listener: who waited is dropped with it, and may have been too many for its queue. Where it
 * had SO_REUSEPORT it was looked for among others.
 */
static void tell_queue(struct event *ev, const struct closing *closing, bool is_gone)
{
	const uint32_t queued = closing->queue.queued;

	backlog_note(ev, &closing->queue);
	if (queued && is_gone &&
	    !(closing->by_dump && migrate_may(closing->id.netns, &closing->view.local)))
		note_queue_reset(ev, queued);
}

void surprises_of_close(struct event *ev, const struct closing *closing, bool still_open)
{
	const bool listened = closing->before == STATE_LISTEN;
	const bool is_gone = !still_open && closing->view.state == STATE_CLOSED;

	if (listened)
		tell_queue(ev, closing, is_gone);
	if (still_open)
		return;
	if (is_gone && !listened)
		tell_what_ended_it(ev, closing);
	attempt_of_close(ev, (enum attempt_end)closing->attempt, closing->syns,
			 closing->connect_ms);
	if (closing->before == STATE_CLOSE_WAIT && closing->silent_ms >= 1000) {
		ev->notes |= NOTE_BIT(NOTE_CLOSE_WAIT);
		ev->figures.close_wait_ms = closing->silent_ms;
	}
}

static bool is_plain_tcp(int handle)
{
	return sock_option(handle, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

/* What this half-close means, where it is one. */
static void tell_half(struct event *ev, uint8_t before)
{
	const uint8_t now = ev->sock.state;

	if (ev->args.how == SHUT_WR && before == STATE_ESTABLISHED &&
	    (now == STATE_FIN_WAIT_1 || now == STATE_FIN_WAIT_2))
		ev->notes |= NOTE_BIT(NOTE_HALF_CLOSED);
	if (ev->args.how == SHUT_RD && state_is_synchronized(before))
		ev->notes |= NOTE_BIT(NOTE_NO_WIRE_EFFECT);
}

void surprises_of_shutdown(struct event *ev, int handle, const struct tcp_facts *before)
{
	if (before->state != STATE_CLOSED)
		ev->notes &= ~NOTE_BIT(NOTE_PEER_RESET); /* it was alive until this call */
	if (ev->error)
		return;
	tell_half(ev, before->state);
	if (before->queued && ev->sock.state == STATE_CLOSED && is_plain_tcp(handle) &&
	    !(sock_option(handle, SOL_SOCKET, SO_REUSEPORT) != 0 &&
	      migrate_may(sock_netns(handle), &ev->sock.local)))
		note_queue_reset(ev, before->queued);
}

/* Nobody here had it yet who could have ended it. */
void surprises_of_accept(struct event *ev, int handle, const struct tcp_facts *facts)
{
	if (ev->sock.state == STATE_CLOSED && is_plain_tcp(handle))
		note_peer_reset(ev, facts->retransmits);
}
