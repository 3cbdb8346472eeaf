/*
 * diag.c - see diag.h. Moves bytes; what they mean is diag_query's and diag_parse's.
 */
#include "observe/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/tcp_state.h"
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

/* A netlink socket for one question. */
struct channel {
	int fd;
	int slot;    /* -1: a fresh one, closed afterwards */
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

	return fresh >= 0 && own_adopt(OWN_DIAG + i, fresh) >= 0;
}

static void make_slots(void)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;

	for (unsigned int i = 0; i < DIAG_SOCKETS; i++) {
		uint64_t state = SLOT_UNMADE;

		if (atomic_compare_exchange_strong(&this_process.diag[i], &state,
						   now_ms + SLOT_TAKEN))
			atomic_store(&this_process.diag[i], make_slot(i) ? SLOT_FREE : SLOT_EMPTY);
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
	const uint64_t all = ~UINT64_C(0);
	uint64_t old;

	if (sys_sigprocmask(SIG_SETMASK, &all, &old) < 0)
		return;
	make_slots();
	sys_sigprocmask(SIG_SETMASK, &old, NULL);
}

static bool take_slot(unsigned int i, uint64_t now_ms, bool *ret_unread)
{
	uint64_t state = atomic_load(&this_process.diag[i]);

	if (state == SLOT_UNMADE) {
		make_slots_unseen();
		state = atomic_load(&this_process.diag[i]);
	}
	if (state == SLOT_UNMADE || state == SLOT_EMPTY ||
	    (state >= SLOT_TAKEN && now_ms < state + ABANDONED_MS))
		return false;
	*ret_unread = state != SLOT_FREE;
	return atomic_compare_exchange_strong(&this_process.diag[i], &state, now_ms + SLOT_TAKEN);
}

static int take_channel(struct channel *ret)
{
	const uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
	bool unread;

	*ret = (struct channel){.fd = -1, .slot = -1};
	/* Without a log no descriptor of ours may stay. */
	for (unsigned int i = 0; i < DIAG_SOCKETS && shim.events && ret->fd < 0; i++) {
		if (!take_slot(i, now_ms, &unread))
			continue;
		*ret = (struct channel){own_checked(OWN_DIAG + i), (int)i, unread};
		if (ret->fd < 0) /* taken from us, or not now */
			atomic_store(&this_process.diag[i],
				     own_number(OWN_DIAG + i) < 0 ? SLOT_EMPTY : SLOT_UNREAD);
	}
	if (ret->fd < 0)
		*ret = (struct channel){.fd = open_netlink(), .slot = -1};
	return ret->fd < 0 ? ret->fd : 0;
}

/* Apart, as a stack is small. */
static __attribute__((noinline)) void give_back(const struct channel *channel)
{
	if (channel->slot >= 0)
		atomic_store(&this_process.diag[channel->slot],
			     channel->unread ? SLOT_UNREAD : SLOT_FREE);
	else
		sys_close(channel->fd);
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

/*
 * "Not found" says something only where the socket would have been found: in the
 * namespace that this channel sees, or where the same question found it before.
 */
static bool not_found_counts(const struct channel *channel, const struct diag_id *id)
{
	return id->netns ? sock_netns(channel->fd) == id->netns : id->proven;
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

int diag_find_exact(const struct diag_id *id, struct diag_sock *ret)
{
	enum { TRIES = 4 };
	struct channel channel;
	int rc = id->cookie ? take_channel(&channel) : -EINVAL; /* none is like it: no proof */

	if (rc < 0)
		return rc;
	rc = -EBADMSG;
	for (int i = 0; i < TRIES && rc == -EBADMSG; i++)
		rc = ask_exact(&channel, id, ret);
	if (rc == 0 && !not_found_counts(&channel, id))
		rc = -EXDEV;
	give_back(&channel);
	return rc;
}

/* One dump over a channel of the caller's. Return 1 complete, or -errno. */
static int dump_over(struct channel *channel, uint16_t protocol, uint16_t family, uint16_t port,
		     uint32_t kernel_states, bool silence, diag_visit *visit, void *arg)
{
	enum { DUMP_SIZE = 32768 };	       /* under 4096 the kernel loses entries */
	void *buf = sys_mmap_pages(DUMP_SIZE); /* first for the question, then for the answers */
	int rc;

	if (sys_failed(buf))
		return -ENOMEM;
	diag_query_dump(buf, protocol, family, port, kernel_states, next_seq());
	if (silence)
		diag_query_silence(buf);
	rc = converse(channel, buf, buf, DUMP_SIZE, visit, arg);
	sys_munmap(buf, DUMP_SIZE);
	return rc == 0 ? -EAGAIN : rc;
}

static int dump_afresh(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
		       bool silence, diag_visit *visit, void *arg)
{
	/* One of its own: closed, it takes with it what a visitor did not want to see. */
	struct channel channel = {.fd = open_netlink(), .slot = -1};
	int rc;

	if (channel.fd < 0)
		return channel.fd;
	rc = dump_over(&channel, protocol, family, port, kernel_states, silence, visit, arg);
	give_back(&channel);
	return rc;
}

int diag_dump(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
	      diag_visit *visit, void *arg)
{
	return dump_afresh(protocol, family, port, kernel_states, false, visit, arg);
}

int diag_dump_silence(uint16_t port, diag_visit *visit, void *arg)
{
	return dump_afresh(IPPROTO_TCP, AF_UNSPEC, port, ~0u, true, visit, arg);
}

int diag_dump_few(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
		  diag_visit *visit, void *arg)
{
	struct channel channel;
	int rc = take_channel(&channel);

	if (rc < 0)
		return rc;
	rc = dump_over(&channel, protocol, family, port, kernel_states, false, visit, arg);
	give_back(&channel);
	return rc;
}

int diag_find_in_dump(const struct diag_id *id, uint32_t kernel_states, struct diag_sock *ret)
{
	struct search search = {.id = id, .ret = ret};
	struct channel channel;
	int rc = id->cookie ? take_channel(&channel) : -EINVAL; /* none is like it: no proof */

	if (rc < 0)
		return rc;
	rc = dump_over(&channel, id->protocol, id->local.family, id->local.port, kernel_states,
		       false, visit_search, &search);
	if (search.found)
		rc = 1;
	else if (rc == 1)
		rc = not_found_counts(&channel, id) ? 0 : -EXDEV;
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

bool diag_sees(uint64_t netns)
{
	struct channel channel;
	bool sees;

	if (take_channel(&channel) < 0)
		return false;
	sees = !netns || sock_netns(channel.fd) == netns;
	give_back(&channel);
	return sees;
}

bool diag_answers(uint16_t protocol)
{
	enum { NOT_ASKED, YES, NO };
	static _Atomic(uint8_t) tcp_answers;

	if (protocol != IPPROTO_TCP)
		return false; /* not remembered: ask about the socket itself instead */
	if (atomic_load(&tcp_answers) == NOT_ASKED) {
		/* A dump of no state at all: empty where there is a handler, else ENOENT. */
		const int rc = diag_dump(protocol, AF_INET, 0, 0, visit_nothing, NULL);

		if (rc == 1 || rc == -ENOENT)
			atomic_store(&tcp_answers, rc == 1 ? YES : NO);
	}
	return atomic_load(&tcp_answers) == YES;
}
