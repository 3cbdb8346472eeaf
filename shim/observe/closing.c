/* SPDX-License-Identifier: MIT */
/*
 * closing.c - see closing.h.
 */
#include "observe/closing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/attempt.h"
#include "observe/diag.h"
#include "observe/event.h"
#include "observe/fdtable.h"
#include "observe/keeper.h"
#include "observe/proofs.h"
#include "observe/surprises.h"
#include "observe/tcp_state.h"
#include "observe/view.h"
#include "observe/walk.h"
#include "sys/process.h"

static int find(struct closing *closing, struct diag_sock *ret)
{
	/* What listens can only listen on: the kernel need not walk over its connections. */
	const uint32_t states = closing->before == STATE_LISTEN ? 1u << TCP_LISTEN : ~0u;

	if (closing->by_dump)
		return diag_find_in_dump(&closing->id, states, ret);
	return proofs_find(&closing->id, ret);
}

/*
 * After the close. A connection that was alive and orderly is not gone at once: an
 * answer that says so may come from the moment in which the kernel exchanges the
 * socket for its TIME_WAIT, so it is asked for twice.
 */
static int find_what_is_left(struct closing *closing, struct diag_sock *ret)
{
	const uint32_t leads_to_time_wait = STATES_ABORTED & ~STATE_BIT(STATE_CLOSE_WAIT);
	const int rc = find(closing, ret);

	if (rc == 0 && state_is_in(closing->before, leads_to_time_wait) && !closing->unread &&
	    !closing->lingers_zero && !closing->keeps_no_fin_wait)
		return find(closing, ret);
	return rc;
}

/*
 * Make sure that "not found" will mean "gone". Where such a question is not known to
 * find such a socket, the one that will be asked after the close must find it now.
 * What has ended could be found now in TIME_WAIT alone, as well as after the close.
 */
static void prepare_question(struct closing *closing, int handle, struct fd_note *note)
{
	const bool listens = closing->before == STATE_LISTEN;
	struct diag_sock found;

	if (!closing->by_dump && closing->id.netns && proofs_have(&closing->id))
		return;
	if (closing->before != STATE_CLOSED || closing->id.protocol != IPPROTO_TCP)
		closing->id.proven = find(closing, &found) == 1;
	if (!closing->id.proven && listens && !closing->by_dump) {
		/* One of MPTCP, or of a group, whose option is gone by now. */
		view_tell_kind(handle, note, &closing->id);
		closing->by_dump = true;
		closing->id.proven = find(closing, &found) == 1;
	}
	if (!closing->id.proven)
		closing->id.netns = 0;
}

/*
 * A listener is looked for before the close in any case: that TCP's question finds it says of which
 * protocol and namespace it is. In a group of SO_REUSEPORT the kernel would pick one by hash.
 */
static void identify_listener(struct closing *closing, int handle, struct fd_note *note)
{
	const struct sock_view *view = &closing->view;

	closing->by_dump = sock_option(handle, SOL_SOCKET, SO_REUSEPORT) != 0;
	if (closing->by_dump)
		view_identify(view, handle, STATE_LISTEN, note, &closing->id);
	else
		view_locate(view, handle, STATE_LISTEN, note, &closing->id);
}

/* What the question will be about; none where the socket itself tells of its end. */
static void identify(struct closing *closing, int handle, const struct tcp_facts *facts,
		     struct fd_note *note)
{
	struct sock_view *view = &closing->view;

	view_identify(view, handle, facts->state, note, &closing->id);
	if (closing->id.protocol == IPPROTO_MPTCP)
		closing->unread = 0; /* MPTCP counts the peer's end as a byte */
	if (facts->state != STATE_CLOSED || closing->id.protocol != IPPROTO_TCP)
		return;

	const enum view_end end = view_end(view, handle, facts, note, STATE_UNKNOWN);

	closing->was_reset = end == END_RESET;
	closing->ask = end == END_UNKNOWN;
	closing->otherwise = STATE_CLOSED;
}

/* Is there something to ask after the close? If not, what is the state then? */
static void decide_question(struct closing *closing, const struct tcp_facts *facts)
{
	const struct sock_view *view = &closing->view;

	if (facts->state == STATE_LISTEN) {
		closing->ask = true;
	} else if (facts->state == STATE_CLOSED) {
		closing->ask = view_may_wait(view);
		closing->otherwise =
			view_is_closed(view, facts->was_connected) ? STATE_CLOSED : STATE_UNKNOWN;
	} else {
		closing->ask = view->peer.family != 0;
	}
}

/* What speaks for a reset, and how long the peer has been waiting; or who waits in the queue. */
static void ask_connection(struct closing *closing, int handle, const struct tcp_facts *facts)
{
	if (facts->state == STATE_LISTEN)
		closing->queue = backlog_look(handle, closing->view.cookie, facts);
	closing->retransmits = facts->retransmits;
	closing->after_fin = state_is_in(facts->state, STATES_FIN_SENT) && !facts->has_unsent;
	if (state_is_in(facts->state, STATES_TAKING))
		closing->unread = (uint32_t)sock_unread(handle);
	if (state_is_in(facts->state, STATES_ABORTED))
		closing->lingers_zero = sock_lingers_zero(handle);
	if (facts->state == STATE_FIN_WAIT_2)
		closing->keeps_no_fin_wait = sock_keeps_no_fin_wait(handle);
	if (facts->state == STATE_CLOSE_WAIT)
		closing->silent_ms = facts->silent_ms;
}

/* An attempt to connect whose end nobody has told. */
static void ask_attempt(struct closing *closing, int handle, const struct tcp_facts *facts,
			uint32_t connect_ms)
{
	if (facts->state != STATE_CLOSED || !connect_ms)
		return;
	closing->attempt = (uint8_t)attempt_unread(handle, facts);
	closing->syns = facts->sent;
	closing->connect_ms = connect_ms;
}

/*
 * Open as something else. Where the number was a TCP socket before, a second close of that one hits
 * what it has become, whose owner then gets EBADF: that shall find here who it was.
 */
static enum closing_kind other(int number, enum call_id call)
{
	if (fdtable_get(number).cookie && process_owner())
		fdtable_close_other(number, call, process_tid(),
				    shim.set.stack ? walk_callers(shim.set.stack) : 0,
				    clock_ns(CLOCK_MONOTONIC));
	return CLOSING_OTHER;
}

/* A TCP socket, perhaps. Of a dup2 it is only a part of the event. */
static enum closing_kind unanswered(int number, enum call_id call, int rc)
{
	if (call != CALL_dup2 && call != CALL_dup3)
		event_unanswered(number, rc);
	if (process_owner())
		fdtable_close(number, call, process_tid(), 0, clock_ns(CLOCK_MONOTONIC));
	return CLOSING_UNLOGGED;
}

enum closing_kind observe_closing(struct closing *ret, enum call_id call, struct sock_ref ref,
				  int32_t pid)
{
	struct tcp_facts facts;
	struct fd_note note;
	int rc;

	if (!shim_logs(call))
		return CLOSING_UNLOGGED;
	rc = tcp_ask(ref.handle, &facts);
	if (tcp_is_unanswered(rc))
		return unanswered(ref.number, call, rc);
	if (rc < 0)
		return rc == -EBADF ? CLOSING_NOT_OPEN : other(ref.number, call);
	if (!pid)
		pid = process_owner();
	if (!pid)
		return CLOSING_UNLOGGED;

	*ret = (struct closing){.fd = ref.number, .before = facts.state, .pid = pid};
	view_begin(&ret->view, ref, facts.state, &note);
	ret->copy = fdtable_other(ref.number, &note);
	ret->unseen = view_unseen_syn(&ret->view, &facts);
	decide_question(ret, &facts);
	ask_connection(ret, ref.handle, &facts);
	ask_attempt(ret, ref.handle, &facts, note.connect_ms);
	if (facts.state == STATE_LISTEN)
		identify_listener(ret, ref.handle, &note);
	else if (ret->ask)
		identify(ret, ref.handle, &facts, &note);
	if (ret->ask)
		prepare_question(ret, ref.handle, &note);
	if (shim.set.stack)
		ret->stack = walk_callers(shim.set.stack);
	view_keep(&ret->view, ref, ret->stack, &note);
	fdtable_close(ref.number, call, process_tid(), ret->stack, clock_ns(CLOCK_MONOTONIC));
	return CLOSING_TCP;
}

void observe_not_closed(const struct closing *closing)
{
	fdtable_reopen(closing->fd);
}

/* The state after the close, and the way there. *found: empty where the kernel knows none such. */
static void conclude(struct closing *closing, struct sock_view *ret, struct diag_sock *found)
{
	struct sock_view *view = &closing->view;
	const bool orderly =
		closing->before == STATE_CLOSE_WAIT && !closing->unread && !closing->lingers_zero;
	uint8_t measured = closing->before, necessary = STATE_UNKNOWN;

	if (closing->ask)
		view_take_answer(view, find_what_is_left(closing, found), found);
	else
		view->state = closing->otherwise;
	if (measured == STATE_CLOSED)
		measured = closing->unseen; /* TCP_INFO says so of TIME_WAIT, too */
	if (orderly && view->state == STATE_CLOSED)
		necessary = STATE_LAST_ACK;
	view_trace(view, measured, necessary);
	*ret = *view;
}

/* Who had it may have closed it while he was looked for: only of what is open still, nobody has it.
 */
static void doubt_nobody(struct closing *closing, struct holders *keeper)
{
	struct diag_sock now = {0};

	if (keeper->looked_up && !keeper->pid && (find(closing, &now) != 1 || !now.inode))
		keeper->looked_up = false;
}

bool observe_closed(struct closing *closing, struct event *ev)
{
	bool still_open;
	struct diag_sock found = {0};

	ev->stack = closing->stack;
	ev->pid = closing->pid;
	if (!event_caller(ev))
		return false; /* a sandbox has come in the meantime */
	ev->has_sock = true;
	conclude(closing, &ev->sock, &found);
	still_open = keeper_note(ev, closing, &found);
	if (still_open)
		doubt_nobody(closing, &ev->more.holders);
	surprises_of_close(ev, closing, still_open);
	return true;
}

void observe_closed_target(struct closing *closing, struct event *ev)
{
	struct diag_sock found = {0};

	ev->has_closed = true;
	ev->more.closed.fd = closing->fd;
	conclude(closing, &ev->more.closed.sock, &found);
}

bool observe_double_close(struct event *ev)
{
	const struct fd_note note = fdtable_get(ev->fd);

	if (!note.closed_ns || !event_caller(ev))
		return false;
	/* What was closed before a fork was closed by another process. */
	if (note.closed_ns < atomic_load_explicit(&this_process.born, memory_order_relaxed))
		return false;
	/* Whoever closes twice what is no TCP socket harms nobody that is known here. */
	if (note.closed_other && note.closed_by == ev->tid)
		return false;
	ev->notes |= NOTE_BIT(NOTE_DOUBLE_CLOSE);
	ev->figures.closed_other = note.closed_other;
	ev->figures.closed_ago_ns = clock_ns(CLOCK_MONOTONIC) - note.closed_ns;
	ev->figures.closed_by = note.closed_by;
	ev->figures.closed_call = note.closed_call;
	ev->figures.closed_at = note.closed_at;
	return true;
}
