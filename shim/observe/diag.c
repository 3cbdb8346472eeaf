/* SPDX-License-Identifier: MIT */
/*
 * diag.c - see diag.h. Moves bytes; what they mean is diag_query's and diag_parse's.
 */
#include "observe/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/tcp_state.h"
#include "sys/apart.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/sys.h"

/*
 * A slot's state: zero in a forked child, whose sockets are made before its first
 * question; free; free, but of its last answer something may be left in the socket;
 * without a socket for good; else since when it is taken, in milliseconds.
 */
enum { SLOT_UNMADE, SLOT_FREE, SLOT_UNREAD, SLOT_EMPTY, SLOT_TAKEN };

/* Who has it that long was jumped out of his question, and will not give it back. */
enum { ABANDONED_MS = 1000 };

enum { MOST_DATAGRAMS = 100000 };
enum { DUMP_SIZE = 32768 }; /* under 4096 the kernel loses entries */

/* A netlink socket for one question. */
struct channel {
	int fd;
	int slot;    /* -1: a fresh one, closed afterwards; only where nobody meets its number */
	bool unread; /* something may be left in it of the answer to an earlier question */
};

static int open_netlink(void)
{
	return sys_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
}

/* Give the slot a socket of this process, in the place of its parent's if any. */
static bool make_slot(unsigned int i)
{
	const int fresh = open_netlink();

	atomic_store(&our_process.diag_netns[i], 0);
	return fresh >= 0 && own_adopt(OWN_DIAG + i, fresh) >= 0;
}

static void make_slots(void)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;

	for (unsigned int i = 0; i < DIAG_SOCKETS; i++) {
		uint64_t state = SLOT_UNMADE;

		if (atomic_compare_exchange_strong(&our_process.diag[i], &state,
						   now_ms + SLOT_TAKEN))
			atomic_store(&our_process.diag[i], make_slot(i) ? SLOT_FREE : SLOT_EMPTY);
	}
}

void diag_open(void)
{
	make_slots();
}

/*
 * A forked child's first question. Each socket has a low number for a moment, with
 * no handler of a signal to see it or to jump out from under it.
 */
static void make_slots_unseen(void)
{
	uint64_t before;

	if (sys_block_signals(&before) < 0)
		return;
	make_slots();
	sys_unblock_signals(&before);
}

static bool take_slot(unsigned int i, uint64_t now_ms, bool *ret_unread)
{
	uint64_t state = atomic_load(&our_process.diag[i]);

	if (state == SLOT_UNMADE) {
		make_slots_unseen();
		state = atomic_load(&our_process.diag[i]);
	}
	if (state == SLOT_UNMADE || state == SLOT_EMPTY ||
	    (state >= SLOT_TAKEN && now_ms < state + ABANDONED_MS))
		return false;
	*ret_unread = state != SLOT_FREE;
	return atomic_compare_exchange_strong(&our_process.diag[i], &state, now_ms + SLOT_TAKEN);
}

/* One of those that are kept. False where none is free, or there is no log: then none is made. */
static bool take_channel(struct channel *ret)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
	bool unread;

	for (unsigned int i = 0; i < DIAG_SOCKETS && shim.events; i++) {
		if (!take_slot(i, now_ms, &unread))
			continue;
		*ret = (struct channel){own_checked(OWN_DIAG + i), (int)i, unread};
		if (ret->fd >= 0)
			return true;
		/* Taken from us, or not now. */
		atomic_store(&our_process.diag[i],
			     own_number(OWN_DIAG + i) < 0 ? SLOT_EMPTY : SLOT_UNREAD);
	}
	return false;
}

/* Apart, as a stack is small. */
static __attribute__((noinline)) void give_back(const struct channel *channel)
{
	atomic_store(&our_process.diag[channel->slot], channel->unread ? SLOT_UNREAD : SLOT_FREE);
}

static uint32_t next_seq(void)
{
	static _Atomic(uint32_t) seq;

	return atomic_fetch_add(&seq, 1) + 1;
}

static int visit_nothing(const struct diag_sock *sock, void *arg)
{
	(void)sock;
	(void)arg;
	return 0;
}

/* A visitor, and what he returned when he had seen enough. */
struct visitor {
	diag_visit *visit;
	void *arg;
	int enough;
};

static int visit_until_enough(const struct diag_sock *sock, void *arg)
{
	struct visitor *visitor = arg;

	if (!visitor->enough)
		visitor->enough = visitor->visit(sock, visitor->arg);
	return 0;
}

/* The rest of an answer, whose reading failed or was jumped out of, must not meet our question. */
static void discard(int fd)
{
	long got = 0;

	/* First of all it tells whether answers were lost. */
	for (int i = 0; i < MOST_DATAGRAMS && (got >= 0 || (i == 1 && got == -ENOBUFS)); i++)
		got = sys_recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}

/*
 * Send the question and walk over its answers, which the kernel has ready when
 * the send returns (each read of a dump makes the next): nothing is waited for. On
 * a socket that is kept a dump is read to its end in any case, or its rest would
 * meet the next question.
 */
static int converse(struct channel *channel, const struct diag_query *query, void *buf, size_t size,
		    diag_visit *visit, void *arg)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const bool to_the_end = channel->slot >= 0;
	const int fd = channel->fd;
	const uint32_t seq = query->header.nlmsg_seq; /* buf may be where the query was */
	struct visitor visitor = {.visit = visit, .arg = arg};
	long got;
	int rc = 0;

	if (channel->unread)
		discard(fd);
	got = sys_sendto(fd, query, query->header.nlmsg_len, MSG_DONTWAIT | MSG_NOSIGNAL, &kernel,
			 sizeof(kernel));
	channel->unread = got >= 0;
	for (int i = 0; i < MOST_DATAGRAMS && got >= 0 && rc == 0; i++) {
		if (visitor.enough && !to_the_end)
			break;
		got = sys_recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
		if (got > (long)size)
			return -EMSGSIZE;
		if (got >= 0)
			rc = diag_parse(buf, (size_t)got, seq, visit_until_enough, &visitor);
	}
	if (got < 0)
		return (int)got;
	channel->unread = rc == 0 || rc == -EBADMSG;
	return visitor.enough ? visitor.enough : rc;
}

/* Asked once of a socket that is kept: that it still is ours was seen when it was taken. */
static uint64_t netns_of(const struct channel *channel)
{
	uint64_t netns = 0;

	if (channel->slot >= 0)
		netns = atomic_load(&our_process.diag_netns[channel->slot]);
	if (netns)
		return netns;
	netns = sock_netns(channel->fd);
	if (channel->slot >= 0)
		atomic_store(&our_process.diag_netns[channel->slot], netns);
	return netns;
}

/*
 * "Not found" says something only where the socket would have been found: in the
 * namespace that this channel sees, or where the same question found it before.
 */
static bool not_found_counts(const struct channel *channel, const struct diag_id *id)
{
	return id->netns ? netns_of(channel) == id->netns : id->proven;
}

struct search {
	const struct diag_id *id;
	struct diag_sock *ret;
	bool found;
	bool listener; /* in its place, one that listens on its port */
};

static bool is_same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static int visit_search(const struct diag_sock *sock, void *arg)
{
	struct search *search = arg;

	const bool any = search->id->cookie == DIAG_ANY_COOKIE;

	search->listener = any && sock->state == STATE_LISTEN;
	/* An MPTCP connection has its listener's cookie: the addresses tell them apart. */
	if ((any || sock->cookie == search->id->cookie) &&
	    is_same_end(&sock->local, &search->id->local) &&
	    is_same_end(&sock->peer, &search->id->peer)) {
		*search->ret = *sock;
		search->found = true;
	}
	return 0;
}

/*
 * One exact question. Return 1 found, 0 not found, or -errno; -EBADMSG where the
 * answer shows a socket that is just being replaced by its TIME_WAIT: closed
 * already, or without its port. Apart from its caller, which may have to make the
 * sockets first: the buffer is large.
 */
__attribute__((noinline)) static int ask_exact(struct channel *channel, const struct diag_id *id,
					       struct diag_sock *ret)
{
	struct search search = {.id = id, .ret = ret};
	union {
		struct diag_query query;
		char answer[192]; /* with the attributes that come unasked, about 150 bytes */
	} buf;
	int rc;

	diag_query_exact(&buf.query, id, next_seq());
	rc = converse(channel, &buf.query, &buf, sizeof(buf), visit_search, &search);
	if (search.found)
		return ret->state == STATE_CLOSED ? -EBADMSG : 1;
	if (rc == -ENOENT || search.listener)
		return 0;
	return rc < 0 ? rc : -EBADMSG;
}

/* Within its callers: a hook's stack has no room for another frame. */
static inline __attribute__((always_inline)) int
find_exact_over(struct channel *channel, const struct diag_id *id, struct diag_sock *ret)
{
	enum { TRIES = 4 };
	int rc = -EBADMSG;

	for (int i = 0; i < TRIES && rc == -EBADMSG; i++)
		rc = ask_exact(channel, id, ret);
	return rc == 0 && !not_found_counts(channel, id) ? -EXDEV : rc;
}

/* One dump, in room of its own: first for the question, then for the answers. */
static int dump_in(void *room, struct channel *channel, const struct diag_scope *scope,
		   diag_visit *visit, void *arg)
{
	int rc;

	if (scope->netns && netns_of(channel) != scope->netns)
		return -EXDEV;
	diag_query_dump(room, scope->protocol, scope->family, scope->port, scope->kernel_states,
			next_seq());
	if (scope->silence)
		diag_query_silence(room);
	rc = converse(channel, room, room, DUMP_SIZE, visit, arg);
	return rc == 0 ? -EAGAIN : rc;
}

/*
 * Return 1 complete, or -errno. Nobody can jump out of it and leave the room behind. Apart from
 * its callers, who may have to make the sockets first.
 */
__attribute__((noinline)) static int
dump_over(struct channel *channel, const struct diag_scope *scope, diag_visit *visit, void *arg)
{
	uint64_t before;
	void *room;
	int rc = -ENOMEM;

	if (sys_block_signals(&before) < 0)
		return rc;
	room = sys_mmap_pages(DUMP_SIZE);
	if (!sys_failed(room)) {
		rc = dump_in(room, channel, scope, visit, arg);
		sys_munmap(room, DUMP_SIZE);
	}
	sys_unblock_signals(&before);
	return rc;
}

static int find_in_dump_over(struct channel *channel, const struct diag_id *id,
			     uint32_t kernel_states, struct diag_sock *ret)
{
	const struct diag_scope scope = {.protocol = id->protocol,
					 .family = id->local.family,
					 .port = id->local.port,
					 .kernel_states = kernel_states};
	struct search search = {.id = id, .ret = ret};
	int rc = dump_over(channel, &scope, visit_search, &search);

	if (search.found)
		return 1;
	if (rc == 1)
		return not_found_counts(channel, id) ? 0 : -EXDEV;
	return rc;
}

/* A search for which no socket that is kept was free. */
struct errand {
	struct diag_id id;
	struct diag_sock found;
	uint32_t kernel_states; /* 0: an exact question */
	int rc;
};

/* In a helper, with which the socket goes. */
static void find_afresh(void *arg)
{
	struct errand *errand = arg;
	struct channel fresh = {.fd = open_netlink(), .slot = -1};

	if (fresh.fd < 0)
		errand->rc = fresh.fd;
	else if (errand->kernel_states)
		errand->rc = find_in_dump_over(&fresh, &errand->id, errand->kernel_states,
					       &errand->found);
	else
		errand->rc = find_exact_over(&fresh, &errand->id, &errand->found);
}

/* Apart from its callers: the errand is large. */
static __attribute__((noinline)) int find_apart(const struct diag_id *id, uint32_t kernel_states,
						struct diag_sock *ret)
{
	struct errand errand = {.id = *id, .kernel_states = kernel_states};

	if (!apart_run(find_afresh, &errand, sizeof(errand)))
		return -EAGAIN;
	if (errand.rc == 1)
		*ret = errand.found;
	return errand.rc;
}

int diag_find_exact(const struct diag_id *id, struct diag_sock *ret)
{
	struct channel channel;
	int rc;

	if (!id->cookie)
		return -EINVAL; /* none is like it: no proof */
	if (!take_channel(&channel))
		return find_apart(id, 0, ret);
	rc = find_exact_over(&channel, id, ret);
	give_back(&channel);
	return rc;
}

int diag_find_in_dump(const struct diag_id *id, uint32_t kernel_states, struct diag_sock *ret)
{
	struct channel channel;
	int rc;

	if (!id->cookie)
		return -EINVAL; /* none is like it: no proof */
	if (!take_channel(&channel))
		return find_apart(id, kernel_states, ret);
	rc = find_in_dump_over(&channel, id, kernel_states, ret);
	give_back(&channel);
	return rc;
}

/* No copy of the description, nor a second answer: a hook's stack has no room for them. */
int diag_find_multipath(struct diag_id *id, struct diag_sock *ret)
{
	const int rc = diag_find_in_dump(id, ~0u, ret);
	int behind;

	if (rc < 0 || (rc == 1 && ret->state != STATE_CLOSED))
		return rc;
	if (!diag_answers(IPPROTO_TCP))
		return -EXDEV;
	id->protocol = IPPROTO_TCP;
	id->cookie = DIAG_ANY_COOKIE;
	behind = diag_find_exact(id, ret);
	return behind ? behind : rc;
}

int diag_find_exact_afresh(const struct diag_id *id, struct diag_sock *ret)
{
	struct channel fresh = {.fd = open_netlink(), .slot = -1};
	int rc = -EXDEV;

	if (fresh.fd < 0)
		return fresh.fd;
	if (!id->netns || sock_netns(fresh.fd) == id->netns)
		rc = find_exact_over(&fresh, id, ret);
	sys_close(fresh.fd);
	return rc;
}

int diag_dump(const struct diag_scope *scope, diag_visit *visit, void *arg)
{
	/* One of its own: closed, it takes with it what a visitor did not want to see. */
	struct channel fresh = {.fd = open_netlink(), .slot = -1};
	int rc;

	if (fresh.fd < 0)
		return fresh.fd;
	rc = dump_over(&fresh, scope, visit, arg);
	sys_close(fresh.fd);
	return rc;
}

int diag_dump_kept(const struct diag_scope *scope, diag_visit *visit, void *arg)
{
	struct channel channel;
	int rc;

	if (!take_channel(&channel))
		return -EAGAIN;
	rc = dump_over(&channel, scope, visit, arg);
	give_back(&channel);
	return rc;
}

/* A walk over no state at all: empty where the kernel has a handler, else ENOENT. */
static const struct diag_scope nobody = {.protocol = IPPROTO_TCP, .family = AF_INET};

static void call_for_nobody(void *ret_rc)
{
	*(int *)ret_rc = diag_dump(&nobody, visit_nothing, NULL);
}

bool diag_answers(uint16_t protocol)
{
	enum { NOT_ASKED, YES, NO };
	static _Atomic(uint8_t) tcp_answers;

	if (protocol != IPPROTO_TCP)
		return false; /* not remembered: ask about the socket itself instead */
	if (atomic_load(&tcp_answers) == NOT_ASKED) {
		int rc = diag_dump_kept(&nobody, visit_nothing, NULL);

		if (rc == -EAGAIN)
			apart_run(call_for_nobody, &rc, sizeof(rc));
		if (rc == 1 || rc == -ENOENT)
			atomic_store(&tcp_answers, rc == 1 ? YES : NO);
	}
	return atomic_load(&tcp_answers) == YES;
}
