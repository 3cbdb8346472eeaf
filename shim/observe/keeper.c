/* SPDX-License-Identifier: MIT */
/*
 * keeper.c - see keeper.h.
 *
 * A server that forks for each connection closes what its child has in the parent, and what its
 * parent has in the child, each time: nothing is looked for then that was not noted.
 */
#include "observe/keeper.h"

#include <fcntl.h>

#include "observe/closing.h"
#include "observe/proc.h"
#include "observe/subject.h"
#include "observe/tcp_state.h"
#include "observe/turns.h"
#include "observe/view.h"
#include "sys/apart.h"
#include "sys/sys.h"

/* Another number of this process, as its notes have it and the kernel confirms. */
static bool has_copy(const struct closing *closing)
{
	int handle;
	bool is_copy;

	if (closing->copy < 0)
		return false;
	handle = subject_fetch(closing->copy);
	is_copy = sock_cookie(handle) == closing->view.cookie;
	subject_let_go(handle);
	return is_copy;
}

/* Of a socket that sock_diag tells of no owner: a port that is bound, or a connection's end. */
static bool holds_something(const struct sock_view *view)
{
	return view->state == STATE_TIME_WAIT ||
	       (view->state == STATE_CLOSED && view->local.port && !view->peer.family);
}

/* A forked child goes on from its parent's last search. */
static bool may_search(const struct event *ev)
{
	return !sys_on_alternate_stack() && turn_is_due(&subject_notes->searched, ev);
}

static bool is_open(int number)
{
	const int handle = subject_fetch(number);
	const bool open = sys_fcntl(handle, F_GETFD, 0) >= 0;

	subject_let_go(handle);
	return open;
}

struct search {
	uint32_t inode;
	int closed;
	struct proc_owner found;
};

static void look(void *arg)
{
	struct search *search = arg;

	proc_find_keeper(search->inode, search->closed, &search->found);
}

static void search(struct holders *holders, const struct event *ev, int closed)
{
	struct search search = {.inode = holders->inode, .closed = is_open(closed) ? -1 : closed};
	struct proc_owner owner;

	apart_run(look, &search, sizeof(search));
	owner = search.found;
	if (owner.tid && is_open(closed))
		owner = (struct proc_owner){0}; /* it may wait for what the number has become */
	holders->looked_up = owner.looked_up;
	sharing_name(holders, owner.pid, owner.prog);
	holders->tid = owner.tid;
	holders->own = owner.pid == ev->pid && !owner.tid;
	holders->own_fd = holders->own ? owner.fd : 0;
}

bool keeper_note(struct event *ev, const struct closing *closing, const struct diag_sock *found)
{
	struct holders *holders = &ev->more.holders;
	const bool copied = has_copy(closing);

	if (!found->inode && !(copied && holds_something(&ev->sock)))
		return false;
	ev->notes |= NOTE_BIT(NOTE_STILL_OPEN);
	*holders = (struct holders){
		.inode = found->inode,
		.uid = found->uid,
		.fin_sent = closing->after_fin || ev->sock.state == STATE_FIN_WAIT_2 ||
			    ev->sock.state == STATE_TIME_WAIT,
	};
	if (copied) {
		sharing_name(holders, ev->pid, ev->prog);
		holders->own = true;
		holders->own_fd = closing->copy;
	} else if (may_search(ev)) {
		search(holders, ev, closing->fd);
	}
	return true;
}
